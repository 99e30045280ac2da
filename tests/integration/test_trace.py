"""Why the agent did what it did: each run's steps, stored, served and, at LOG_LEVEL=debug, printed."""

import re
from collections.abc import Callable
from typing import Any

import aiohttp
from chat_server import ChatServer, Client
from mock_provider import MockProvider, Reply, hello
from server_process import ServerProcess


async def runs_of(url: str, tab: Client) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession(url) as http, http.get(f"/api/conversations/{tab.conversation_id}/runs") as answer:
        assert answer.status == 200
        return list(await answer.json())


async def with_a_tool(request: dict[str, Any], reply: Reply) -> None:
    if request["messages"][-1]["role"] == "tool":
        return await hello(request, reply)
    await reply.text("Secret thoughts. ")
    await reply.tool_call("current_time", {"timezone": "Asia/Tokyo"})
    await reply.finish("tool_calls")


async def test_a_run_has_its_steps_in_the_order_they_were_announced(server: ChatServer, provider: MockProvider) -> None:
    provider.script = with_a_tool
    async with server.client() as tab:
        await tab.ask("What time is it?")
        await tab.until_idle()
        [run] = await runs_of(server.url, tab)
        announced = [event["stepName"] for event in tab.find(type="STEP_STARTED")]
        assert announced == [event["stepName"] for event in tab.find(type="STEP_FINISHED")]
    assert [step["node"] for step in run["steps"]] == announced
    assert [(step["node"], step["action"]) for step in run["steps"]] == [
        ("CheckSafety", "safe"),
        ("ChooseAgent", "default"),
        ("StreamChat", "tool_calls"),
        ("RequestApproval", "approved"),
        ("ExecuteTools", "default"),
        ("CheckInterrupt", "continue"),
        ("StreamChat", "answered"),
    ]
    assert run["status"] == "success"
    assert run["usage"] == {"inputTokens": 24, "outputTokens": 68}
    assert run["firstTokenMs"] <= run["durationMs"]


async def test_a_step_has_its_times_and_a_summary_of_the_shared_store(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        await tab.until_idle()
        [run] = await runs_of(server.url, tab)
    first, *_, last = run["steps"]
    assert first["startedAt"] <= last["startedAt"]
    assert 0 <= last["ms"] <= run["durationMs"] + 1
    assert "error" not in last
    assert last["summary"] == {
        "keys": ["agent", "conversation_id", "emit", "messages", "stop", "store", "turn"],
        "messages": 2,
        "queue": 0,
        "calls": 0,
        "agent": "assistant",
        "outcome": "success",
    }


async def test_a_failed_run_says_where_and_why(server: ChatServer, provider: MockProvider) -> None:
    async def broken(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(401, "Bad key")

    provider.script = broken
    async with server.client() as tab:
        await tab.ask("Hello")
        await tab.until_idle()
        [run] = await runs_of(server.url, tab)
    assert (run["steps"][-1]["node"], run["steps"][-1]["action"]) == ("StreamChat", "failed")
    assert run["steps"][-1]["summary"]["outcome"] == run["status"] == "error"
    assert "Bad key" in run["error"]["message"]
    assert run["steps"][-1]["error"] == run["error"]["message"]


async def test_runs_of_an_unknown_conversation_are_not_found(server: ChatServer) -> None:
    async with aiohttp.ClientSession(server.url) as http, http.get("/api/conversations/nobody/runs") as answer:
        assert answer.status == 404


async def test_debug_prints_a_line_a_step_with_its_ids_and_no_message_text(
    server_process: Callable[..., ServerProcess], provider: MockProvider
) -> None:
    provider.script = with_a_tool
    process = server_process(OPENAI_BASE_URL=provider.url, LOG_LEVEL="debug").start()
    async with Client.attach(process.ws_url) as tab:
        answer = await tab.say("Private question")
        await tab.until(lambda c: c.ended(answer["runId"]))
        conversation_id = tab.conversation_id
    process.end()
    lines = [line for line in process.errors.splitlines() if "DEBUG" in line and answer["runId"] in line]
    assert all(conversation_id in line for line in lines)
    steps = [re.search(r": (\w+) -> (\w+), [\d.]+ ms, ", line) for line in lines]
    assert [step[1] for step in steps if step][:3] == ["CheckSafety", "ChooseAgent", "StreamChat"]
    assert len(steps) == len(tab.find(type="STEP_STARTED")) == 7
    for private in ("Private question", "Secret thoughts", "Asia/Tokyo", "Hello ", "from the mock"):
        assert private not in process.errors
