"""The WebSocket door: messages, the queue, Stop, failures. One server, one scripted provider, real sockets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from chat_server import ChatServer, running_server
from mock_provider import MockProvider, Reply
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

Script = Callable[[dict[str, Any], Reply], Awaitable[None]]


class Gate:
    """A provider script that sends "Once upon" and then waits until `go` is set."""

    def __init__(self, *rest: str) -> None:
        self.go, self.begun, self.replies = asyncio.Event(), asyncio.Event(), list[Reply]()
        self._rest = rest or (" a time.",)

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        self.replies.append(reply)
        await reply.text("Once ", "upon")
        self.begun.set()
        await self.go.wait()
        await reply.text(*self._rest)
        await reply.finish()


@pytest.fixture
def gate(provider: MockProvider) -> Gate:
    provider.script = gate = Gate()
    return gate


async def test_an_answer_streams_delta_by_delta(server: ChatServer) -> None:
    async with server.client() as tab:
        assert await tab.ask("Hello") == "Hello from the mock provider."
        deltas = [event["delta"] for event in tab.find(type="TEXT_MESSAGE_CONTENT")]
        assert deltas == ["Hello ", "from ", "the ", "mock ", "provider."]
        finished = tab.find(type="RUN_FINISHED")[0]
        assert finished["outcome"] == {"type": "success"}
        assert finished["usage"] == [{"model": "mock", "inputTokens": 12, "outputTokens": 34}]
        assert set(finished["result"]) == {"firstTokenMs", "durationMs"}
        assert tab.mirror.problems == []


async def test_deltas_that_arrive_together_stay_several(server: ChatServer, provider: MockProvider) -> None:
    async def at_once(request: dict[str, Any], reply: Reply) -> None:
        chunks = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("One ", "two ", "three")]
        await reply.chunk(b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks))
        await reply.finish()

    provider.script = at_once
    async with server.client() as tab:
        await tab.ask("Count")
        assert [event["delta"] for event in tab.find(type="TEXT_MESSAGE_CONTENT")] == ["One ", "two ", "three"]


async def test_a_new_conversation_is_stored_with_its_first_message(server: ChatServer) -> None:
    async with server.client() as tab:
        assert await refused_with(server, f"/ws/{tab.conversation_id}") == 404
        await tab.ask("Hello   there")
        assert tab.state["conversation"]["title"] == "Hello there"
        async with server.client(tab.conversation_id) as second:
            assert second.messages == tab.messages
            assert second.state == tab.state


async def test_messages_typed_ahead_are_answered_in_order(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        await tab.say("two")
        await tab.say("three")
        await tab.until(lambda c: [m["content"] for m in c.state["queue"]] == ["two", "three"])
        gate.go.set()
        await tab.until_idle()
        assert [m["content"] for m in tab.messages if m["role"] == "user"] == ["one", "two", "three"]
        assert [m["role"] for m in tab.messages] == ["user", "assistant"] * 3


async def test_the_same_message_id_twice_is_one_message(server: ChatServer) -> None:
    async with server.client() as tab:
        first = await tab.say("Hello", id="mine")
        second = await tab.say("Hello", id="mine")
        await tab.until_idle()
        assert first["runId"] == second["runId"]
        assert [m["id"] for m in tab.messages if m["role"] == "user"] == ["mine"]


async def test_the_same_command_id_again_gets_the_same_answer(server: ChatServer) -> None:
    async with server.client() as tab:
        first = await tab.say("Hello", commandId="c1")
        second = await tab.say("Something else", commandId="c1")
        await tab.until_idle()
        assert first == second | {"commandId": "c1"}
        assert len([m for m in tab.messages if m["role"] == "user"]) == 1


async def test_stop_keeps_the_text_and_closes_the_providers_socket(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("Tell me a story")
        await tab.until(lambda c: c.messages[-1:] and c.messages[-1].get("content") == "Once upon")
        await tab.command("stop")
        async with asyncio.timeout(5):
            await gate.replies[0].closed.wait()
        await tab.until_idle()
        assert tab.find(type="RUN_FINISHED")[0]["outcome"] == {"type": "cancelled"}
        assert tab.messages[-1]["content"] == "Once upon"
        assert tab.messages[-1]["metadata"] == {"status": "interrupted"}
        statuses = [e["snapshot"]["status"] for e in tab.find(type="STATE_SNAPSHOT")]
        assert statuses.index("stopping") < statuses.index("idle", 1)


async def test_stop_while_the_provider_says_nothing(server: ChatServer, provider: MockProvider) -> None:
    asked: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    async def silent(request: dict[str, Any], reply: Reply) -> None:
        asked.set_result(reply)
        await reply.closed.wait()

    provider.script = silent
    async with server.client() as tab:
        await tab.say("Hello?")
        reply = await asked
        await tab.command("stop")
        async with asyncio.timeout(5):
            await reply.closed.wait()
        await tab.until_idle()
        assert [m["role"] for m in tab.messages] == ["user"]


async def test_stop_holds_what_waits_until_it_is_released(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        await tab.say("two", id="two")
        await tab.command("stop")
        await tab.until_idle()
        assert tab.state["queue"] == [{"id": "two", "content": "two", "held": True}]
        gate.go.set()
        await tab.command("queue_release")
        await tab.until(lambda c: c.state["status"] == "idle" and not c.state["queue"])
        assert [m["content"] for m in tab.messages if m["role"] == "user"] == ["one", "two"]


async def test_a_new_message_runs_while_others_are_held(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        await tab.say("two")
        await tab.command("stop")
        gate.go.set()
        await tab.ask("three")
        await tab.until_idle()
        assert [m["content"] for m in tab.messages if m["role"] == "user"] == ["one", "three"]
        assert [m["held"] for m in tab.state["queue"]] == [True]


async def test_now_stops_the_run_goes_first_and_holds_nothing(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        await tab.say("two")
        gate.begun.clear()
        await tab.say("urgent", when="now")
        await gate.begun.wait()
        gate.go.set()
        await tab.until_idle()
        assert [m["content"] for m in tab.messages if m["role"] == "user"] == ["one", "urgent", "two"]
        assert tab.messages[1]["metadata"] == {"status": "interrupted"}


async def test_stop_when_idle_or_for_a_run_already_over_changes_nothing(server: ChatServer) -> None:
    async with server.client() as tab:
        answer = await tab.say("Hello")
        await tab.until_idle()
        before = tab.state
        assert "code" not in await tab.command("stop")
        assert "code" not in await tab.command("stop", runId=answer["runId"])
        await tab.ask("Again")
        assert tab.state["version"] > before["version"]
        assert {e["outcome"]["type"] for e in tab.find(type="RUN_FINISHED")} == {"success"}


async def test_the_queue_can_be_edited_removed_and_cleared(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        for name in ("two", "three", "four", "five"):
            await tab.say(name, id=name)
        await tab.command("queue_edit", id="two", content="zwei")
        await tab.command("queue_remove", id="three")
        await tab.until(lambda c: [m["content"] for m in c.state["queue"]] == ["zwei", "four", "five"])
        assert (await tab.command("queue_edit", id="nothing", content="x"))["code"] == "not_found"
        assert (await tab.command("queue_remove", id="three"))["code"] == "conflict"
        await tab.command("queue_clear")
        gate.go.set()
        await tab.until_idle()
        assert [m["content"] for m in tab.messages if m["role"] == "user"] == ["one"]


async def test_a_full_queue_refuses_and_changes_nothing(tmp_path: Any, provider: MockProvider) -> None:
    provider.script = gate = Gate()
    async with running_server(tmp_path, openai_base_url=provider.url, max_queue=1) as server, server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        await tab.say("two")
        assert (await tab.say("three"))["code"] == "queue_full"
        assert [m["content"] for m in tab.state["queue"]] == ["two"]


async def test_a_failed_run_says_why_holds_what_waits_and_can_be_retried(
    server: ChatServer, provider: MockProvider
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def broken(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Half an ans")
        begun.set()
        await go.wait()
        await reply.chunk({"error": {"message": "The mock is on fire."}})

    working, provider.script = provider.script, broken
    async with server.client() as tab:
        await tab.say("Hello")
        await begun.wait()
        await tab.say("Next")
        go.set()
        await tab.until_event(type="RUN_ERROR")
        await tab.until_idle()
        assert "on fire" in tab.find(type="RUN_ERROR")[0]["message"]
        assert "on fire" in tab.state["lastError"]["message"]
        assert tab.messages[-1]["metadata"] == {"status": "failed"}
        assert tab.state["queue"][0]["held"]
        provider.script = working
        await tab.command("regenerate")
        await tab.until(lambda c: c.state["status"] == "idle" and "lastError" not in c.state)
        assert [m.get("content") for m in tab.messages] == ["Hello", "Hello from the mock provider."]
        assert "Half an ans" not in str(provider.requests[-1])


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_json"),
        ("[]", "bad_command"),
        ('"stop"', "bad_command"),
        ('{"type": "nonsense"}', "bad_command"),
        ('{"type": "user_message"}', "bad_command"),
        ('{"type": "user_message", "content": ""}', "bad_command"),
        ('{"type": "user_message", "content": "  "}', "bad_command"),
        ('{"type": "user_message", "content": 5}', "bad_command"),
        ('{"type": "user_message", "content": "x", "id": "../x"}', "bad_command"),
        ('{"type": "user_message", "content": "x", "when": "later"}', "bad_command"),
        ('{"type": "user_message", "content": "\\ud800"}', "bad_json"),
        ('{"type": "resume", "resume": []}', "bad_command"),
        ('{"type": "user_message", "content": "%s"}' % ("x" * 70_000), "too_large"),
        ('{"type": "stop", "x": "%s"}' % ("x" * 300_000), "too_large"),
    ],
    ids=lambda value: value[:60],
)
async def test_a_bad_frame_is_named_and_the_connection_goes_on(server: ChatServer, frame: str, code: str) -> None:
    async with server.client() as tab:
        await tab.socket.send(frame)
        rejected = await tab.until_event(name="command_rejected")
        assert rejected["value"]["code"] == code
        assert rejected["value"]["message"]
        assert await tab.ask("Still there?") == "Hello from the mock provider."


async def test_edit_answers_anew_and_drops_what_followed(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.say("one", id="one")
        await tab.ask("two")
        answer = await tab.command("edit_message", id="one", content="uno")
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert [m["content"] for m in tab.messages] == ["uno", "Hello from the mock provider."]
        assert tab.mirror.problems == []


async def test_delete_removes_a_message_and_its_answer(server: ChatServer) -> None:
    async with server.client() as tab, server.client() as other:
        await tab.say("one", id="one")
        await tab.ask("two")
        assert "code" not in await tab.command("delete_message", id="one")
        await tab.until(lambda c: [m["content"] for m in c.messages] == ["two", "Hello from the mock provider."])
        assert other.messages == []
        async with server.client(tab.conversation_id) as fresh:
            assert fresh.messages == tab.messages


async def test_history_is_changed_only_when_idle(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one", id="one")
        await gate.begun.wait()
        for command in ({"type": "regenerate"}, {"type": "delete_message", "id": "one"}):
            assert (await tab.command(**command))["code"] == "conflict"
        assert (await tab.command("edit_message", id="one", content="x"))["code"] == "conflict"
        gate.go.set()
        await tab.until_idle()


async def test_disconnecting_changes_nothing(server: ChatServer, gate: Gate) -> None:
    async with server.client() as tab:
        await tab.say("one")
        await gate.begun.wait()
        conversation_id, place = tab.conversation_id, tab.last_event_id
    gate.go.set()
    async with server.client(conversation_id) as fresh, server.client(conversation_id, after=place) as resumed:
        await fresh.until(lambda c: c.state["status"] == "idle" and len(c.messages) == 2)
        await resumed.until_event(type="RUN_FINISHED")
        assert fresh.messages[-1]["content"] == "Once upon a time."
        assert "".join(e["delta"] for e in resumed.find(type="TEXT_MESSAGE_CONTENT")).endswith(" a time.")
        assert not resumed.find(type="MESSAGES_SNAPSHOT")


async def test_an_unknown_place_gets_snapshots(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        for place in ("nonsense", "00000000-5", tab.last_event_id + "0"):
            async with server.client(tab.conversation_id, after=place) as back:
                await back.until(lambda c: c.state)
                assert back.messages == tab.messages


async def test_a_foreign_origin_is_refused(server: ChatServer) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert await refused_with(server, "/ws", **headers) == 403


async def refused_with(server: ChatServer, path: str, **headers: str) -> int:
    """The HTTP status with which a WebSocket is refused before it is accepted."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{server.ws_url}{path}", additional_headers=headers):
            pass
    return refused.value.response.status_code
