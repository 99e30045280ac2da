"""A node, a tool or a model that breaks ends its run as failed, and never the chat."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from mock_provider import MockProvider, Reply
from pocketflow import AsyncNode
from readers import agrees_with_a_fresh_reader

import main
import nodes
from flow import create_chat_flow
from utils import agents, tools
from utils.run_tool import run_tool
from utils.server.store import ToolCall
from utils.toolkit import Tool, ToolContext


class Broken(AsyncNode):
    """A newcomer's node, as it is on the first try."""

    async def exec_async(self, prepared: Any) -> None:
        raise KeyError("my_key")


class Lost(AsyncNode):
    """A newcomer's node that returns an action without an edge."""

    async def post_async(self, shared: dict[str, Any], prepared: Any, result: Any) -> str:
        return "nowhere"


@pytest.mark.parametrize("node", [Broken, Lost])
@pytest.mark.filterwarnings("ignore:Flow ends")
async def test_an_error_in_a_newcomers_node_fails_the_run_and_not_the_chat(
    node: type[AsyncNode], server: ChatServer, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = create_chat_flow()
    choose = flow.start_node.successors["message"].successors["safe"]
    chat, added = choose.successors["default"], node()
    choose.successors["default"] = added
    added >> chat
    with monkeypatch.context() as patch:
        patch.setattr(main, "chat_flow", flow)
        async with server.client() as tab:
            await tab.say("Hello")
            await tab.until_event(type="RUN_ERROR")
            await tab.until_idle()
            assert tab.state["lastError"]["message"]
            assert tab.mirror.problems == []
            patch.undo()
            assert await tab.ask("And now?") == "Hello from the mock provider."
            await agrees_with_a_fresh_reader(server, tab)


def offer(monkeypatch: pytest.MonkeyPatch, tool: Tool) -> None:
    """Let the assistant use `tool`."""
    monkeypatch.setitem(tools.TOOLS, tool.name, tool)
    assistant = agents.AGENTS["assistant"]
    monkeypatch.setitem(agents.AGENTS, "assistant", replace(assistant, tools=(*assistant.tools, tool.name)))


def asks_for(name: str) -> Callable[[dict[str, Any], Reply], Awaitable[None]]:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool":
            await reply.text("I see.")
            return await reply.finish()
        await reply.tool_call("current_time", {}, "call_1")
        await reply.tool_call(name, {}, "call_2", 1)
        await reply.finish("tool_calls")

    return script


@pytest.mark.parametrize("returned", [42, None, {"a": 1}, [1, 2], [{"x": object}], "half \ud83d", b"bytes"])
async def test_whatever_a_tool_returns_is_a_result(
    server: ChatServer, provider: MockProvider, monkeypatch: pytest.MonkeyPatch, returned: Any
) -> None:
    async def careless(context: ToolContext) -> Any:
        """Return what it should not."""
        context.output("printed \ud83d")
        return returned

    offer(monkeypatch, Tool(careless))
    provider.script = asks_for("careless")
    async with server.client() as tab:
        assert await tab.ask("Go") == "I see."
        assert tab.mirror.problems == []


async def test_a_tools_own_timeout_is_not_taken_for_the_servers(tmp_path: Path) -> None:
    async def asks_elsewhere() -> str:
        """Ask another server."""
        raise TimeoutError("the other server is slow")

    call, context = ToolCall("1", "asks_elsewhere", "{}"), ToolContext("c", tmp_path)
    result = await run_tool(call, Tool(asks_elsewhere), context, print, asyncio.Event())
    assert "the other server is slow" in str(result)
    assert "longer than" not in str(result)


async def test_when_a_run_fails_between_tools_finished_ones_keep_their_results(
    server: ChatServer, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    async def count() -> str:
        """Count."""
        runs.append("ran")
        return "counted"

    offer(monkeypatch, Tool(count))
    provider.script = asks_for("count")
    real = nodes.run_tool

    async def breaks(call: ToolCall, *rest: Any) -> Any:
        result = await real(call, *rest)
        if call.name == "count":
            raise MemoryError("too much")
        return result

    async with server.client() as tab:
        with monkeypatch.context() as patch:
            patch.setattr(nodes, "run_tool", breaks)
            await tab.say("Go")
            await tab.until_event(type="RUN_ERROR")
            await tab.until_idle()
        results = [str(m["content"]) for m in tab.messages if m["role"] == "tool"]
        assert "UTC" in results[0]
        assert results[1].startswith("Outcome unknown")
        assert tab.mirror.problems == []
        await agrees_with_a_fresh_reader(server, tab)
        await tab.command("regenerate")
        await tab.until(lambda c: c.messages[-1].get("content") == "I see.")
        assert runs == ["ran"]


async def test_a_context_that_overflows_in_mid_answer_is_not_asked_again(
    server: ChatServer, provider: MockProvider
) -> None:
    async def overflows(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Once ")
        await reply.chunk({"error": {"message": "The context length is exceeded.", "code": 400}})

    async with server.client() as tab:
        await tab.ask("Hello")
        provider.script = overflows
        await tab.say("Tell me more")
        await tab.until_event(type="RUN_ERROR")
        assert tab.messages[-1]["content"] == "Once "
        assert len(provider.requests) == 2


async def test_edited_arguments_of_a_nested_kind_are_checked(
    server: ChatServer, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Colour(StrEnum):
        RED = "red"

    async def paint(colour: Colour = Colour.RED) -> str:
        """Paint."""
        return f"It is {colour}"

    paint.__annotations__["colour"] = Colour  # a name that only this test knows
    offer(monkeypatch, Tool(paint, needs_approval=True))
    provider.script = asks_for("paint")
    async with server.client() as tab:
        await tab.say("Go")
        await tab.until_status("awaiting")
        interrupt = tab.state["interrupts"][0]["id"]
        entry = {"interruptId": interrupt, "status": "resolved", "payload": {"approved": True}}
        for colour, code in (("blue", "bad_command"), ("red", None)):
            entry["payload"] = {"approved": True, "editedArgs": {"colour": colour}}
            answer = await tab.command("resume", resume=[entry])
            assert answer.get("code") == code
        await tab.until_idle()
        assert "It is red" in str(tab.messages)
