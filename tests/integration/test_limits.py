"""The limits that a person may set are kept: how long the server waits for a model and for a tool."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import running_server
from mock_provider import MockProvider, Reply, hello

from utils import limits
from utils.limits import Limits
from utils.toolkit import Tool
from utils.tools import TOOLS


@pytest.fixture(autouse=True)
def defaults_afterwards() -> Iterator[None]:
    yield
    limits.configure(Limits())


async def silent(request: dict[str, Any], reply: Reply) -> None:
    await reply.closed.wait()


async def stalling(request: dict[str, Any], reply: Reply) -> None:
    await reply.text("Once ")
    await reply.closed.wait()


@pytest.mark.parametrize(
    ("script", "setting", "code"),
    [(silent, "first_token_seconds", "timeout"), (stalling, "stall_seconds", "stall")],
)
async def test_a_model_that_says_nothing_for_too_long_is_given_up(
    tmp_path: Path, provider: MockProvider, script: Any, setting: str, code: str
) -> None:
    provider.script = script
    settings: dict[str, Any] = {"openai_base_url": provider.url, setting: 0.3}
    async with running_server(tmp_path, **settings) as server, server.client() as tab:
        await tab.ask("Hello?")
        await tab.until_idle()
        assert tab.state["lastError"]["code"] == code
        assert "0.3 seconds" in tab.state["lastError"]["message"]


async def test_a_tool_is_ended_after_tool_seconds_and_the_model_is_told(
    tmp_path: Path, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def current_time() -> str:
        """Take for ever."""
        await asyncio.Event().wait()
        return "never"

    async def waiting(request: dict[str, Any], reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool":
            return await hello(request, reply)
        await reply.tool_call("current_time", {})
        await reply.finish("tool_calls")

    monkeypatch.setitem(TOOLS, "current_time", Tool(current_time))
    provider.script = waiting
    async with (
        running_server(tmp_path, openai_base_url=provider.url, tool_seconds=0.3) as server,
        server.client() as tab,
    ):
        assert await tab.ask("What time is it?") == "Hello from the mock provider."
        assert "longer than 0.3 s" in tab.find(type="TOOL_CALL_RESULT")[0]["content"]
