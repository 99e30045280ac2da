"""The tools offered to the model: plain async functions. Add one, name it in TOOLS and in an agent's `tools`."""

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from utils import python_sandbox
from utils.toolkit import Tool, ToolContext


async def current_time(timezone: str = "UTC") -> str:
    """Tell the current date and time. `timezone` is an IANA name such as Europe/Vienna."""
    try:
        now = datetime.now(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"There is no time zone {timezone!r}. Use an IANA name such as Europe/Vienna.") from error
    return now.strftime("%A, %d %B %Y, %H:%M:%S ") + timezone


async def save_note(name: str, text: str, context: ToolContext) -> str:
    """Save a text note as a file that the person can download. `name` is a plain word or two, without an ending."""
    plain = re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "note"
    path = context.workspace / f"{plain}.md"
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link, and links are not written to. Choose another name.")
    await asyncio.to_thread(path.write_text, text)
    return f"Saved as {path.name} ({len(text.encode())} bytes): {context.file_url(path.name)}"


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(current_time),
        Tool(save_note, needs_approval=True),
        Tool(python_sandbox.execute_python, needs_approval=True, runs_code=True),
        Tool(python_sandbox.run_command, needs_approval=True, runs_code=True),
    )
}


async def offered(names: Iterable[str]) -> dict[str, Tool]:
    """Of the named tools those that can be used here: without a sandbox none that runs code."""
    level = await python_sandbox.level()
    return {name: TOOLS[name] for name in names if level.name != "off" or not TOOLS[name].runs_code}


_warming: set[asyncio.Task[None]] = set()


def warm_soon(context: ToolContext) -> None:
    """Start the kernel while the person still reads the code, without making anyone wait."""
    task = asyncio.create_task(python_sandbox.warm(context))
    _warming.add(task)
    task.add_done_callback(_warming.discard)


SANDBOXED = (
    "It runs in a sandbox without network, with limited time, memory and disk. "
    "It can read, change and delete the files of this conversation."
)


async def caution(tool: Tool) -> str:
    """What a person should know before approving: what the call may touch."""
    if not tool.runs_code:
        return ""
    level = await python_sandbox.level()
    return level.warning or SANDBOXED


if __name__ == "__main__":
    print(asyncio.run(current_time("Europe/Vienna")))
