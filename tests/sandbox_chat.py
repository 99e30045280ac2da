"""A conversation that runs code, for the sandbox tests; and what one needs to look at it from outside."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import psutil
import pytest

from utils import python_sandbox
from utils.python_sandbox import SandboxLimits, configure, execute_python
from utils.toolkit import ToolContext, ToolResult


class Chat:
    """One conversation: what it was shown while code ran, and its workspace."""

    def __init__(self, folder: Path, name: str = "chat") -> None:
        self.shown: list[str] = []
        self.printed = asyncio.Event()
        self.workspace = folder / "workspaces" / name
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.context = ToolContext(name, self.workspace, self._show)

    def _show(self, text: str) -> None:
        self.shown.append(text)
        self.printed.set()

    async def python(self, code: str) -> str:
        """What the model reads after `code` has run."""
        return text_of(await execute_python(code, self.context))

    async def begin(self, code: str) -> asyncio.Task[ToolResult]:
        """Start `code`; returns once it has printed something."""
        self.printed.clear()
        running = asyncio.create_task(execute_python(code, self.context))
        async with asyncio.timeout(30):
            await self.printed.wait()
        return running


def text_of(result: ToolResult) -> str:
    return result if isinstance(result, str) else "".join(part.get("text", "") for part in result)


def images_of(result: ToolResult) -> list[str]:
    return [] if isinstance(result, str) else [part["source"]["value"] for part in result if part["type"] == "image"]


async def stop(running: asyncio.Task[ToolResult]) -> float:
    """Press Stop; the seconds until nothing of the call runs any more."""
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return time.monotonic() - began


@asynccontextmanager
async def sandbox(folder: Path, mode: str = "bubblewrap", **limits: float) -> AsyncIterator[Chat]:
    """A configured sandbox and one conversation; all gone afterwards."""
    configure(mode, folder, SandboxLimits(**limits))
    if mode == "bubblewrap":
        skip_without_bubblewrap()
    try:
        yield Chat(folder)
    finally:
        await python_sandbox.close()
        assert not descendants(), "processes were left behind"


@cache
def skip_without_bubblewrap() -> None:
    """Skip where the machine allows no sandbox; asked of bwrap itself, a fault in our command line is no excuse."""
    simplest = "bwrap --bind / / --unshare-user --unshare-pid --unshare-net true"
    try:
        subprocess.run(simplest.split(), check=True, capture_output=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"bubblewrap does not work on this machine: {getattr(error, 'stderr', '') or error}")


def descendants() -> list[psutil.Process]:
    """Live processes that this one started, and theirs."""
    return [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what other processes do is no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def responsive(most_seconds: float = 2, most_megabytes: float = 50) -> AsyncIterator[None]:
    """Meanwhile this process, the server, never keeps others waiting for long, and never grows much."""
    worst, before = 0.0, psutil.Process().memory_info().rss
    largest = before

    async def tick() -> None:
        nonlocal worst, largest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            worst = max(worst, time.monotonic() - began)
            largest = max(largest, psutil.Process().memory_info().rss)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
    grown = (largest - before) / 1024**2
    assert worst < most_seconds, f"another conversation waited {worst:.2f} s"
    assert grown < most_megabytes, f"the server grew by {grown:.0f} MB"
