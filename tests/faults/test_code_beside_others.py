"""While one conversation's code misbehaves, the others are answered about as soon as ever."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import Client, running_server
from mock_provider import MockProvider, Reply
from sandbox_chat import skip_without_bubblewrap

CODES = {
    "prints without end": "while True: print('x' * 1000)",
    "displays without end": "while True: display('x' * 1000)",
    "grows without end": "print('on', flush=True)\nfat = []\nwhile True: fat.append(bytes(10**6))",
    "writes without end": "print('on', flush=True)\nfile = open('big', 'wb')\nwhile True: file.write(bytes(10**6))",
}
ASKED = 15
SLACK_MS = 15
"""A first piece takes a few milliseconds: the machine's own noise is as much, and more with a busy core beside it."""


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
async def test_another_conversation_is_answered_as_soon(tmp_path: Path, provider: MockProvider, code: str) -> None:
    skip_without_bubblewrap()

    async def script(request: dict[str, Any], reply: Reply) -> None:
        if request["messages"][-1]["content"] == "Misbehave":
            await reply.tool_call("execute_python", {"code": code})
            return await reply.finish("tool_calls")
        await reply.text("Here.")
        await reply.finish()

    provider.script = script
    settings = {"openai_base_url": provider.url, "sandbox": "bubblewrap"}
    async with running_server(tmp_path, **settings) as server, server.client() as wild, server.client() as other:
        normal = await first_piece_ms(other)
        await wild.say("Misbehave")
        await wild.until_status("awaiting")
        entry = {"interruptId": wild.state["interrupts"][0]["id"], "status": "resolved", "payload": {"approved": True}}
        await wild.command("resume", resume=[entry])
        await wild.until_event(name="tool_output")
        beside = await first_piece_ms(other)
        await wild.command("stop")
        await wild.until_idle()
        assert beside < 2 * normal + SLACK_MS


async def first_piece_ms(tab: Client) -> float:
    """From sending a message to the first piece of its answer, the median of several."""
    times = []
    for _ in range(ASKED):
        tab.events.clear()
        began = time.monotonic()
        asking = asyncio.create_task(tab.ask("Hello"))
        await tab.until_event(type="TEXT_MESSAGE_CONTENT")
        times.append((time.monotonic() - began) * 1000)
        await asking
    return statistics.median(times)
