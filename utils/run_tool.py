"""One tool call from its decision to its result: whatever happens becomes text that the model reads."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from utils.limits import limits
from utils.server.store import NOT_EXECUTED, ToolCall
from utils.stopping import Stopped, until_stopped
from utils.toolkit import BadArguments, Tool, ToolContext, ToolResult

log = logging.getLogger(__name__)
SANDBOX_GRACE = 30.0
"""Seconds that the sandbox gets to stop its code by itself, as its own account of that is the better one to read."""
MAX_OUTPUT = 200_000
"""Characters of live output, and of a result's text."""


Outcome = tuple[str, ToolResult]
"""How a call ended (completed, failed, rejected, cancelled or interrupted), and its result."""


def refusal(call: ToolCall, tools: dict[str, Tool], stopped: bool) -> Outcome | None:
    """Why the call will not run, in words for the model; None if it may."""
    if call.status == "rejected":
        reason = f" The person's reason: {call.reason}" if call.reason else ""
        return "rejected", f"{NOT_EXECUTED} The person rejected this call.{reason}"
    if call.status == "cancelled":
        return "cancelled", f"{NOT_EXECUTED} The approval was cancelled."
    if stopped:
        return "cancelled", f"{NOT_EXECUTED} The person pressed Stop before it ran."
    if call.name not in tools:
        names = ", ".join(tools) or "none"
        return "failed", f"{NOT_EXECUTED} There is no tool {call.name!r} here. There are: {names}."
    if tools[call.name].needs_approval and call.status != "approved":
        return "failed", _unapproved(call, tools[call.name])
    return None


def _unapproved(call: ToolCall, tool: Tool) -> str:
    """No approval was asked for because the arguments are wrong; if they are not, it must not run all the same."""
    try:
        tool.check(call.arguments)
    except BadArguments as error:
        return f"{NOT_EXECUTED} {error}"
    return f"{NOT_EXECUTED} Nobody approved this call."


async def run_tool(
    call: ToolCall, tool: Tool, context: ToolContext, show: Callable[[str], None], stop: asyncio.Event
) -> Outcome:
    """Run an allowed call; `show` gets its output while it runs. Ends at once on Stop and after TOOL_SECONDS."""
    seconds = limits().tool_seconds + (SANDBOX_GRACE if tool.runs_code else 0)
    printed, outcome = Printed(show), "completed"
    arguments = call.edited_arguments or call.arguments
    try:
        async with asyncio.timeout(seconds) as limit:
            result = await until_stopped(tool(arguments, replace(context, output=printed)), stop)
    except BadArguments as error:
        return "failed", f"{NOT_EXECUTED} {error}"
    except Exception as error:  # noqa: BLE001 - a tool may raise anything, and its failure is for the model to read
        log.info("conversation %s: %s failed: %s", context.conversation_id, call.name, type(error).__name__)
        outcome, result = "failed", f"{printed.text}{call.name} failed: {type(error).__name__}: {error}"
        if limit.expired():
            result = f"{printed.text}[Stopped: it ran longer than {seconds:g} s. It may have had effects.]"
    if isinstance(result, Stopped):
        outcome, result = "interrupted", f"{printed.text}[Interrupted by the person. It may have had effects.]"
    return outcome, _told_of_edit(call, _limited(_storable(result)))


class Printed:
    """Passes live output on, up to MAX_OUTPUT characters, and remembers it for a result that is cut short."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._pieces: list[str] = []
        self._left = MAX_OUTPUT

    def __call__(self, text: str) -> None:
        text, self._left = _encodable(text[: self._left]), max(0, self._left - len(text))
        if text:
            self._pieces.append(text)
            self._show(text)

    @property
    def text(self) -> str:
        text = "".join(self._pieces)
        return text + "\n" if text and not text.endswith("\n") else text


def _storable(result: Any) -> ToolResult:
    """What a tool returned, also one that did not keep to ToolResult."""
    if isinstance(result, list) and all(isinstance(part, dict) for part in result):
        with suppress(TypeError):
            orjson.dumps(result)
            return result
    return _encodable(str(result))


def _encodable(text: str) -> str:
    """Halves of surrogate pairs cannot be sent or stored."""
    return text.encode(errors="replace").decode()


def _limited(result: ToolResult) -> ToolResult:
    if isinstance(result, str) and len(result) > MAX_OUTPUT:
        return f"{result[:MAX_OUTPUT]}\n[The rest was cut: {len(result) - MAX_OUTPUT} characters more.]"
    return result


def _told_of_edit(call: ToolCall, result: ToolResult) -> ToolResult:
    """The model learns what really ran."""
    if call.edited_arguments is None:
        return result
    note = f"The person changed the arguments before approving. What ran: {call.edited_arguments}\n\n"
    return note + result if isinstance(result, str) else [{"type": "text", "text": note}, *result]


if __name__ == "__main__":

    async def trial() -> None:
        async def shout(text: str) -> str:
            """Say it louder."""
            return text.upper()

        from pathlib import Path

        call = ToolCall("1", "shout", '{"text": "hello"}')
        print(await run_tool(call, Tool(shout), ToolContext("trial", Path()), print, asyncio.Event()))

    asyncio.run(trial())
