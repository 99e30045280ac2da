"""The processes that are compared: how each is started, what it has used of the processor and of memory."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 30.0
QUIET = 0.02
"""A process is at rest when it has used less than this share of a core for a while."""


@dataclass
class Process:
    """A running server. `end` is what its last frame of an answer contains."""

    name: str
    port: int
    pid: int
    end: bytes
    start_seconds: float

    def cpu(self) -> float:
        """Seconds of processor time so far, all threads, to the nanosecond (Linux's clock of another process)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory(self) -> int:
        """Bytes resident."""
        return int(psutil.Process(self.pid).memory_info().rss)

    async def rest(self) -> None:
        """Wait until what was begun is over."""
        while True:
            before = self.cpu()
            await asyncio.sleep(0.1)
            if self.cpu() - before < QUIET * 0.1:
                return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running(name: str, end: bytes, command: list[str], **environment: str) -> AsyncIterator[Process]:
    """Start `python …command` with `{port}` filled in; ready when its first page is there."""
    port, started = free_port(), time.perf_counter()
    arguments = [word.replace("{port}", str(port)) for word in command]
    child = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(_first_page if end else _listening, port):
                if child.returncode is not None:
                    raise RuntimeError(f"{name} ended with {child.returncode} instead of starting")
                await asyncio.sleep(0.005)
        yield Process(name, port, child.pid, end, time.perf_counter() - started)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


def provider() -> contextlib.AbstractAsyncContextManager[Process]:
    return running("provider", b"", ["-m", "tests.benchmarks.provider", "{port}"])


def relay(provider_port: int) -> contextlib.AbstractAsyncContextManager[Process]:
    return running("relay", b"[DONE]", ["-m", "tests.benchmarks.relay", "{port}", _url(provider_port)])


def obvious(provider_port: int) -> contextlib.AbstractAsyncContextManager[Process]:
    return running("obvious", b'"done"', ["-m", "tests.benchmarks.obvious", "{port}", _url(provider_port)])


def ours(provider_port: int, data_dir: Path) -> contextlib.AbstractAsyncContextManager[Process]:
    return running(
        "this",
        b'"status":"idle"',
        ["main.py", "--no-open", "--port", "{port}"],
        OPENAI_BASE_URL=_url(provider_port),
        OPENAI_MODEL="mock-model",
        DATA_DIR=str(data_dir),
        SANDBOX="off",
        COMMANDS_PER_MINUTE="1000000",
    )


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


def _first_page(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
        return True
    return False


def _listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
