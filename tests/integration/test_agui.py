"""POST /agui as AG-UI's own client sees it, and as the page sees what that client does."""

import asyncio
from typing import Any

import httpx2 as httpx
import orjson
import pytest
from agui_client import Told, agui_runs, needs_node
from chat_server import ChatServer
from mock_provider import MockProvider, Reply

pytestmark = needs_node
NOTE = {"name": "todo", "text": "Buy milk"}
COLOUR = {
    "name": "set_colour",
    "description": "Colour the page",
    "parameters": {"type": "object", "properties": {"colour": {"type": "string"}}},
}


def asks_for(*calls: tuple[str, dict[str, Any]]) -> Any:
    """A script: these tool calls first, then, once there are results, a text that quotes the last one."""

    async def script(request: dict[str, Any], reply: Reply) -> None:
        last = request["messages"][-1]
        if last["role"] == "tool":
            await reply.text("It said: ", last["content"])
            return await reply.finish()
        for index, (name, arguments) in enumerate(calls):
            await reply.tool_call(name, arguments, id=f"call_{len(request['messages'])}_{index}", index=index)
        await reply.finish("tool_calls")

    return script


async def test_text(server: ChatServer) -> None:
    told = await agui_runs(server, {"say": "Hello"})
    assert told.text == "Hello from the mock provider."
    assert told.outcome() == {"type": "success"}
    started, finished = told.find("RUN_STARTED")[0], told.find("RUN_FINISHED")[0]
    assert started["protocolVersion"] == "1.0"
    assert finished["usage"] == [{"model": "mock", "inputTokens": 12, "outputTokens": 34}]
    assert "StreamChat" in [event["stepName"] for event in told.find("STEP_STARTED")]
    assert not {"STATE_SNAPSHOT", "STATE_DELTA"} & set(told.types())


async def test_two_runs_in_one_thread(server: ChatServer, provider: MockProvider) -> None:
    told = await agui_runs(server, {"say": "One"}, {"say": "Two"})
    assert [message["role"] for message in told.messages] == ["user", "assistant"] * 2
    sent = [message["content"] for message in provider.requests[-1]["messages"][1:]]
    assert sent == ["One", "Hello from the mock provider.", "Two"]


async def test_reasoning(server: ChatServer, provider: MockProvider) -> None:
    async def thinks(request: dict[str, Any], reply: Reply) -> None:
        await reply.delta(reasoning_content="Let me ")
        await reply.delta(reasoning_content="see.")
        await reply.text("Four.")
        await reply.finish()

    provider.script = thinks
    told = await agui_runs(server, {"say": "2 + 2?"})
    assert [(m["role"], m["content"]) for m in told.messages[1:]] == [
        ("reasoning", "Let me see."),
        ("assistant", "Four."),
    ]


async def test_an_error(server: ChatServer, provider: MockProvider) -> None:
    async def broken(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Half")
        await reply.chunk({"error": {"message": "The mock is on fire."}})

    provider.script = broken
    told = await agui_runs(server, {"say": "Hello"})
    assert "on fire" in told.find("RUN_ERROR")[0]["message"]


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ({"status": "resolved", "payload": {"approved": True}}, "It said: Saved as todo.md"),
        (
            {"status": "resolved", "payload": {"approved": True, "editedArgs": {"name": "list", "text": "Bread"}}},
            "Saved as list.md",
        ),
        ({"status": "resolved", "payload": {"approved": False, "reason": "Not now."}}, "reason: Not now."),
    ],
    ids=["approve", "edit", "reject"],
)
async def test_an_approval(server: ChatServer, provider: MockProvider, decision: dict[str, Any], says: str) -> None:
    provider.script = asks_for(("save_note", NOTE))
    told = await agui_runs(server, {"say": "Note it"}, {"decide": [decision]})
    interrupt = told.outcome(0)["interrupts"][0]
    assert interrupt["toolCallId"] == interrupt["id"] == told.find("TOOL_CALL_START")[0]["toolCallId"]
    assert interrupt["responseSchema"]["required"] == ["approved"]
    assert told.outcome(1) == {"type": "success"}
    assert not told.find("TOOL_CALL_START", 1)
    assert says in told.text


async def test_a_cancelled_approval(server: ChatServer, provider: MockProvider) -> None:
    provider.script = asks_for(("save_note", NOTE))
    told = await agui_runs(server, {"say": "Note it"}, {"decide": [{"status": "cancelled"}]})
    assert told.outcome(1) == {"type": "cancelled"}
    assert "Not executed" in told.text
    assert len(provider.requests) == 1


@pytest.mark.parametrize("approved", ["yes", 1, None])
async def test_what_is_no_boolean_is_no_approval(server: ChatServer, provider: MockProvider, approved: Any) -> None:
    provider.script = asks_for(("save_note", NOTE))
    wrong = {"status": "resolved", "payload": {"approved": approved}}
    right = {"status": "resolved", "payload": {"approved": True}}
    told = await agui_runs(server, {"say": "Note it"}, {"decide": [wrong]}, {"decide": [right]})
    assert told.find("RUN_ERROR", 1)[0]["code"] == "bad_command"
    assert told.outcome(2) == {"type": "success"}


async def test_an_approval_decided_in_the_page_meanwhile(server: ChatServer, provider: MockProvider) -> None:
    provider.script = asks_for(("save_note", NOTE))
    first = await agui_runs(server, {"say": "Note it"})
    interrupt = first.outcome()["interrupts"][0]["id"]
    async with server.client("thread-1") as page:
        decision = {"interruptId": interrupt, "status": "resolved", "payload": {"approved": True}}
        answer = await page.command("resume", resume=[decision])
        await page.until(lambda c: c.ended(answer["runId"]))
        late = await post_run(server, runId="late", messages=first.messages, resume=[decision])
        assert [event["type"] for event in late] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]
        assert late[1]["messages"] == page.messages


async def test_resume_must_cover_every_open_approval(server: ChatServer, provider: MockProvider) -> None:
    provider.script = asks_for(("save_note", NOTE), ("save_note", NOTE))
    first = await agui_runs(server, {"say": "Note it twice"})
    one, other = (interrupt["id"] for interrupt in first.outcome()["interrupts"])
    decision = {"interruptId": one, "status": "resolved", "payload": {"approved": True}}
    for resume in ([], [decision]):
        ended = (await post_run(server, runId=f"r{len(resume)}", messages=first.messages, resume=resume))[-1]
        assert (ended["type"], ended["code"]) == ("RUN_ERROR", "awaiting")
        assert other in ended["message"]


async def test_a_frontend_tool(server: ChatServer, provider: MockProvider) -> None:
    provider.script = asks_for(("set_colour", {"colour": "red"}))
    told = await agui_runs(
        server,
        {"say": "Make it red", "tools": [COLOUR]},
        {"tools": [COLOUR], "answers": {"set_colour": "It is red now."}},
    )
    assert told.outcome(0) == {"type": "success", "pendingToolCallIds": told.runs[0]["pendingCalls"]}
    assert len(told.runs[0]["pendingCalls"]) == 1
    assert told.text == "It said: It is red now."
    assert [message["role"] for message in told.messages] == ["user", "assistant", "tool", "assistant"]
    assert "set_colour" in [tool["function"]["name"] for tool in provider.requests[0]["tools"]]
    async with server.client("thread-1") as page:
        assert [message["id"] for message in page.messages] == [message["id"] for message in told.messages]


async def test_a_frontend_tool_beside_one_that_needs_approval(server: ChatServer, provider: MockProvider) -> None:
    provider.script = asks_for(("set_colour", {"colour": "red"}), ("save_note", NOTE), ("current_time", {}))
    told = await agui_runs(
        server,
        {"say": "Both", "tools": [COLOUR]},
        {"tools": [COLOUR], "decide": [{"status": "resolved", "payload": {"approved": True}}]},
        {"tools": [COLOUR], "answers": {"set_colour": "Red."}},
    )
    assert told.outcome(0)["type"] == "interrupt"
    assert len(told.find("TOOL_CALL_RESULT", 1)) == 2
    assert len(told.outcome(1)["pendingToolCallIds"]) == 1
    assert told.outcome(2) == {"type": "success"}
    roles = [message["role"] for message in provider.requests[-1]["messages"][1:]]
    assert roles == ["user", "assistant", "tool", "tool", "tool"]


async def test_going_on_without_the_frontend_tools_result(server: ChatServer, provider: MockProvider) -> None:
    provider.script = asks_for(("set_colour", {"colour": "red"}))
    await agui_runs(server, {"say": "Make it red", "tools": [COLOUR]})
    async with server.client("thread-1") as page:
        await page.ask("Never mind")
        sent = provider.requests[1]["messages"]
        assert [message["role"] for message in sent[1:]] == ["user", "assistant", "tool", "user"]


async def test_context_reaches_the_model(server: ChatServer, provider: MockProvider) -> None:
    await agui_runs(server, {"say": "Where am I?", "context": [{"description": "The open page", "value": "Basket"}]})
    assert "The open page: Basket" in provider.requests[0]["messages"][0]["content"]


class Held:
    """A provider script that waits before its second word; `begun` is set once it has sent the first."""

    def __init__(self) -> None:
        self.begun, self.go, self.closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Once ")
        self.begun.set()
        waits = [asyncio.ensure_future(event.wait()) for event in (self.go, reply.closed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if reply.closed.is_set():
            self.closed.set()
        await reply.text("upon.")
        await reply.finish()


async def test_the_page_sees_it_live_and_it_waits_behind_the_pages_run(
    server: ChatServer, provider: MockProvider
) -> None:
    provider.script = held = Held()
    async with server.client() as page:
        await page.say("From the page")
        await held.begun.wait()
        running = asyncio.create_task(agui_runs(server, {"say": "From outside"}, thread=page.conversation_id))
        await page.until(lambda c: [m["content"] for m in c.state["queue"]] == ["From outside"])
        held.go.set()
        told = await running
        await page.until_idle()
        assert told.text == "Once upon."
        assert [m["content"] for m in page.messages if m["role"] == "user"] == ["From the page", "From outside"]
        assert page.mirror.problems == []


@pytest.mark.parametrize("how", ["queue_clear", "stop"])
async def test_a_waiting_run_that_is_removed_or_held(server: ChatServer, provider: MockProvider, how: str) -> None:
    provider.script = held = Held()
    async with server.client() as page:
        await page.say("From the page")
        await held.begun.wait()
        running = asyncio.create_task(agui_runs(server, {"say": "From outside"}, thread=page.conversation_id))
        await page.until(lambda c: c.state["queue"])
        await page.command(how)
        told = await running
        assert told.types() == ["RUN_STARTED", "RUN_ERROR"]
        assert told.find("RUN_ERROR")[0]["code"] == "not_run"
        held.go.set()


async def test_abort_stops_the_run(server: ChatServer, provider: MockProvider) -> None:
    provider.script = held = Held()
    await agui_runs(server, {"say": "Tell me", "abortAt": "TEXT_MESSAGE_CONTENT"})
    async with asyncio.timeout(30):
        await held.closed.wait()
    async with server.client("thread-1") as page:
        await page.until_idle()
        assert page.messages[-1]["metadata"] == {"status": "interrupted"}


async def test_abort_removes_a_run_that_waits(server: ChatServer, provider: MockProvider) -> None:
    provider.script = held = Held()
    async with server.client() as page:
        await page.say("From the page")
        await held.begun.wait()
        request = asyncio.create_task(post_run(server, page.conversation_id, say="From outside"))
        await page.until(lambda c: c.state["queue"])
        request.cancel()
        await page.until(lambda c: not c.state["queue"])
        held.go.set()
        await page.until_idle()
        assert [m["content"] for m in page.messages] == ["From the page", "Once upon."]


async def post_run(server: ChatServer, thread: str = "thread-1", say: str = "", **more: Any) -> list[dict[str, Any]]:
    """One request without the client; the events of its answer."""
    said = [{"id": "said", "role": "user", "content": say}] if say else []
    wanted = {"threadId": thread, "runId": "run-1", "messages": said} | more
    events = []
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("POST", f"{server.url}/agui", json=wanted) as response,
    ):
        if response.status_code != 200:
            return [{"status": response.status_code} | orjson.loads(await response.aread())]
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                events.append(orjson.loads(line.removeprefix("data: ")))
    return events


async def test_a_run_id_is_used_once_and_a_message_id_is_taken_once(server: ChatServer) -> None:
    first = await post_run(server, say="Hello")
    assert first[-1]["type"] == "RUN_FINISHED"
    again = await post_run(server, say="Hello")
    assert (again[0]["status"], again[0]["code"]) == (409, "conflict")
    other = await post_run(server, say="Hello", runId="run-2")
    assert [event["type"] for event in other] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]
    assert [message["role"] for message in other[1]["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"threadId": "../etc"}, "threadId"),
        ({"threadId": None}, "threadId"),
        ({"runId": "a b"}, "runId"),
        ({"messages": [{"id": "x", "role": "nobody", "content": ""}]}, "messages"),
        ({"messages": [{"id": "x", "role": "user", "content": " "}]}, "empty"),
        ({"messages": [{"id": "x y", "role": "user", "content": "Hello"}]}, "id"),
        ({"tools": [{"name": "rm -rf", "description": ""}]}, "tools"),
        ({"tools": [{"name": "x", "description": "", "parameters": 5}]}, "parameters"),
        ({"resume": [{"interruptId": "x", "status": "maybe"}]}, "status"),
        ({"forwardedProps": {"agent": "nobody"}}, "agent"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_input_is_named(server: ChatServer, more: dict[str, Any], names: str) -> None:
    answer = (await post_run(server, **({"say": "Hello"} | more)))[0]
    assert answer["status"] == 422
    assert names in answer["message"]


async def test_a_message_over_the_limit(server: ChatServer) -> None:
    assert (await post_run(server, say="x" * 70_000))[0]["status"] == 413


async def test_a_picked_agent_answers_in_a_new_thread(server: ChatServer) -> None:
    told: Told | list[dict[str, Any]] = await post_run(server, say="Hello", forwardedProps={"agent": "writer"})
    assert {event["name"] for event in told if event["type"] == "TEXT_MESSAGE_START"} == {"writer"}
