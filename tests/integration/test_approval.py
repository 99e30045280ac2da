"""A person decides what runs: the WebSocket door, a real server, a provider that asks to save notes."""

import asyncio
import json
from pathlib import Path
from typing import Any

from approvals import awaiting, cancelled, resolved, results, saved, told
from chat_server import ChatServer, running_server
from mock_provider import MockProvider, Reply


async def test_nothing_runs_before_it_is_approved(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "plan") as tab:
        interrupt = tab.state["interrupts"][0]
        assert (interrupt["id"], interrupt["reason"]) == ("call_plan", "tool_call")
        assert tab.find(type="RUN_FINISHED")[-1]["outcome"] == {"type": "interrupt", "interrupts": [interrupt]}
        assert saved(tab) == []
        answer = await tab.command("resume", resume=[resolved("plan", approved=True)])
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert saved(tab) == ["plan.md"]
        assert tab.messages[-1]["content"] == "Done."
        assert tab.mirror.problems == []


async def test_two_tabs_decide_and_the_first_wins(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "plan") as tab, server.client(tab.conversation_id) as other:
        yes, no = [resolved("plan", approved=True)], [resolved("plan", approved=False)]
        first, second = await asyncio.gather(tab.command("resume", resume=yes), other.command("resume", resume=no))
        assert "code" in first or second["code"] == "conflict"
        assert "code" in second or first["code"] == "conflict"
        await tab.until_idle()
        await other.until_idle()
        assert other.messages == tab.messages
        assert saved(tab) == ([] if "code" in first else ["plan.md"])


async def test_the_same_decision_again_is_accepted_and_runs_nothing_again(
    server: ChatServer, provider: MockProvider
) -> None:
    async with awaiting(server, provider, "plan") as tab, server.client(tab.conversation_id) as other:
        yes = [resolved("plan", approved=True)]
        await asyncio.gather(tab.command("resume", resume=yes), other.command("resume", resume=yes))
        await tab.until_idle()
        assert "code" not in await other.command("resume", resume=yes)
        assert (await other.command("resume", resume=[cancelled("plan")]))["code"] == "conflict"
        assert len(results(tab)) == 1
        assert [event["runId"] for event in tab.find(type="RUN_STARTED")][2:] == []


async def test_some_decided_are_recorded_and_the_last_starts_the_run(
    server: ChatServer, provider: MockProvider
) -> None:
    async with awaiting(server, provider, "one", "two") as tab:
        assert await tab.command("resume", resume=[resolved("two", approved=False)]) == {"commandId": f"{id(tab)}-2"}
        await tab.until(lambda c: [i["id"] for i in c.state["interrupts"]] == ["call_one"])
        assert tab.state["status"] == "awaiting"
        answer = await tab.command("resume", resume=[resolved("one", approved=True)])
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert saved(tab) == ["one.md"]
        assert "Saved" in results(tab)[0]
        assert "rejected" in results(tab)[1]


async def test_edited_arguments_are_what_runs_and_the_model_is_told(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "plan") as tab:
        edited = {"name": "better", "text": "A better plan"}
        answer = await tab.command("resume", resume=[resolved("plan", approved=True, editedArgs=edited)])
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert saved(tab) == ["better.md"]
        assert json.dumps(edited, separators=(",", ":")) in told(provider)
        asked = next(m for m in tab.messages if m.get("toolCalls"))["toolCalls"][0]["function"]["arguments"]
        assert json.loads(asked) == {"name": "plan", "text": "The plan"}
        result = next(m for m in tab.messages if m["role"] == "tool")
        assert json.loads(result["metadata"]["editedArguments"]) == edited


async def test_rejected_with_a_reason_goes_on(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "plan") as tab:
        decision = resolved("plan", approved=False, reason="It is a secret.")
        answer = await tab.command("resume", resume=[decision])
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert saved(tab) == []
        assert "It is a secret." in told(provider)
        assert tab.messages[-1]["content"] == "Done."


async def test_cancelled_ends_the_turn_there(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "plan") as tab:
        answer = await tab.command("resume", resume=[cancelled("plan")])
        await tab.until(lambda c: c.ended(answer["runId"]))
        await tab.until_idle()
        assert tab.find(type="RUN_FINISHED")[-1]["outcome"] == {"type": "cancelled"}
        assert len(provider.requests) == 1
        assert results(tab) == ["Not executed. The approval was cancelled."]


async def test_stop_while_awaiting_cancels_in_a_short_run_of_its_own(
    server: ChatServer, provider: MockProvider
) -> None:
    async with awaiting(server, provider, "plan") as tab:
        await tab.say("just talk", id="later")
        answer = await tab.command("stop")
        await tab.until(lambda c: c.ended(answer["runId"]))
        await tab.until_idle()
        assert results(tab) == ["Not executed. The approval was cancelled."]
        assert tab.state["queue"] == [{"id": "later", "content": "just talk", "held": True}]
        assert (await tab.command("resume", resume=[resolved("plan", approved=True)]))["code"] == "conflict"
        assert saved(tab) == []


async def test_a_message_waits_while_an_approval_is_open(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "plan") as tab:
        message = await tab.say("just talk", id="later")
        await tab.until(lambda c: c.state["queue"])
        assert tab.state["status"] == "awaiting"
        assert tab.state["queue"] == [{"id": "later", "content": "just talk", "held": False}]
        answer = await tab.command("resume", resume=[resolved("plan", approved=True)])
        await tab.until(lambda c: c.ended(answer["runId"]) and c.ended(message["runId"]))
        assert [m["role"] for m in tab.messages] == ["user", "assistant", "tool", "assistant", "user", "assistant"]


async def test_now_while_awaiting_cancels_the_approvals_and_goes_first(
    server: ChatServer, provider: MockProvider
) -> None:
    async with awaiting(server, provider, "plan") as tab:
        await tab.say("just talk, later", id="later")
        await tab.say("just talk, now", id="now", when="now")
        await tab.until(lambda c: c.state["status"] == "idle" and not c.state["queue"])
        assert [m["id"] for m in tab.messages if m["role"] == "user"][1:] == ["now", "later"]
        assert results(tab) == ["Not executed. The approval was cancelled."]
        assert saved(tab) == []


async def test_approve_against_stop_the_first_commit_wins(server: ChatServer, provider: MockProvider) -> None:
    for number in range(10):
        async with awaiting(server, provider, f"plan{number}") as tab, server.client(tab.conversation_id) as other:
            approve = tab.command("resume", resume=[resolved(f"plan{number}", approved=True)])
            commands = [approve, other.command("stop")]
            answers = await asyncio.gather(*(commands if number % 2 else commands[::-1]))
            await tab.until_idle()
            await other.until_idle()
            assert len(results(tab)) == 1
            assert not saved(tab) or "Not executed" not in results(tab)[0]
            if any("code" in answer for answer in answers):
                assert saved(tab) == []
            assert other.messages == tab.messages


async def test_an_approval_outlives_the_server(tmp_path: Path, provider: MockProvider) -> None:
    options = {"openai_base_url": provider.url, "openai_model": "mock"}
    async with running_server(tmp_path, **options) as server, awaiting(server, provider, "plan") as tab:
        conversation_id, question = tab.conversation_id, tab.state["interrupts"]
        await tab.say("just talk", id="later")
    async with running_server(tmp_path, **options) as server, server.client(conversation_id) as tab:
        assert (tab.state["status"], tab.state["interrupts"]) == ("awaiting", question)
        assert [waiting["held"] for waiting in tab.state["queue"]] == [True]
        answer = await tab.command("resume", resume=[resolved("plan", approved=True)])
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert saved(tab) == ["plan.md"]
        assert tab.messages[-1]["content"] == "Done."


async def test_stop_while_a_tool_runs_keeps_its_output(tmp_path: Path, provider: MockProvider) -> None:
    async def asks_to_run(request: dict[str, Any], reply: Reply) -> None:
        code = "import time; print('so far', flush=True); time.sleep(60)"
        await reply.tool_call("execute_python", {"code": code}, "call_run")
        await reply.finish("tool_calls")

    provider.script = asks_to_run
    options = {"openai_base_url": provider.url, "sandbox": "none"}
    async with running_server(tmp_path, **options) as server, server.client() as tab:
        await tab.say("Run it")
        await tab.until_status("awaiting")
        await tab.command("resume", resume=[resolved("run", approved=True)])
        await tab.until_event(name="tool_output")
        answer = await tab.command("stop")
        await tab.until(lambda c: c.ended(answer["runId"]))
        assert "so far" in results(tab)[0]
        assert "nterrupted" in results(tab)[0]
        assert tab.find(type="RUN_FINISHED")[-1]["outcome"] == {"type": "cancelled"}
        assert len(provider.requests) == 1


async def test_after_the_last_round_the_model_is_asked_without_tools(tmp_path: Path, provider: MockProvider) -> None:
    async def ever_more(request: dict[str, Any], reply: Reply) -> None:
        if "tools" not in request:
            await reply.text("I give up.")
            return await reply.finish()
        await reply.tool_call("current_time", {}, f"call_{len(provider.requests)}")
        await reply.finish("tool_calls")

    provider.script = ever_more
    options: dict[str, Any] = {"openai_base_url": provider.url, "max_tool_rounds": 3}
    async with running_server(tmp_path, **options) as server, server.client() as tab:
        assert await tab.ask("What time is it?") == "I give up."
        assert len(results(tab)) == 3
        assert ["tools" in request for request in provider.requests] == [True, True, True, False]
