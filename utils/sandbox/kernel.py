"""One conversation's Python, seen from the server: started once, run many times, interrupted, killed once.

Everything that comes out of it is untrusted: messages are limited in size and number by the sockets, read no faster
than the event loop can bear, and a kernel that says something unreadable is ended.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from utils.sandbox import watch
from utils.sandbox.limits import SandboxLimits, SandboxUnavailable
from utils.sandbox.process import SandboxProcess, context

logger = logging.getLogger(__name__)

START_SECONDS = 30
LAST_OUTPUT_SECONDS = 2
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, TimeoutError, zmq.ZMQError)


@dataclass
class Reply:
    """What a call said. It did not finish if it `timed_out`, or if the kernel has `ended`, which says why."""

    text: str = ""
    value: str = ""
    error: str = ""
    images: list[str] = field(default_factory=list)
    cut: bool = False
    timed_out: bool = False
    ended: str = ""


class Kernel:
    """Live from start() until kill(); from then on `ended` says why not."""

    def __init__(self, workspace: Path, data_dir: Path, limits: SandboxLimits, sandboxed: bool, why_new: str) -> None:
        self.workspace, self.limits, self.why_new = workspace, limits, why_new
        self.process = SandboxProcess(workspace, data_dir, limits, sandboxed)
        self.busy = asyncio.Lock()
        self.ended = ""
        self.last_used = time.monotonic()
        self._gone = asyncio.Event()
        self._called = asyncio.Event()
        self._disk_before = watch.Disk(0, 0)
        self._killing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises SandboxUnavailable."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.process.launch()
                await self._handshake()
                await asyncio.to_thread(self._look_around)
        except BaseException as error:
            complaint = self.process.complaint()
            await self.kill("it could not be started")
            if isinstance(error, (TimeoutError, OSError)):
                reason = complaint or error or "it took too long"
                raise SandboxUnavailable(f"Python could not be started ({reason}). Try again in a moment.") from error
            raise
        self._watching = asyncio.create_task(self._watch())

    async def run(self, code: str, output: Callable[[str], None]) -> Reply:
        """Run `code`, passing on what it prints. Cancelled, it returns when the code or its processes have ended."""
        async with self.busy:
            reply = Reply()
            await asyncio.to_thread(self._look_around)
            self._called.set()
            call = asyncio.create_task(self._call(code, reply, output))
            try:
                await asyncio.wait({call}, timeout=self.limits.seconds)
                if not call.done():
                    reply.timed_out = True
                    await self._stop(call)
            except asyncio.CancelledError:
                await _to_the_end(self._stop(call))
                raise
            finally:
                self.last_used = time.monotonic()
            call.result()
            reply.ended = self.ended
            return reply

    def idle_for(self) -> float:
        """Seconds since the last call; 0 during one."""
        return 0 if self.busy.locked() else time.monotonic() - self.last_used

    async def kill(self, because: str) -> None:
        """End all its processes; returns when they are gone. The first reason given stays."""
        self.ended = self.ended or because
        if self._killing is None:
            self._killing = asyncio.create_task(self._kill())
        await asyncio.shield(self._killing)

    async def _kill(self) -> None:
        if hasattr(self, "client"):
            self.client.stop_channels()
        await self.process.end()
        self._gone.set()
        if self._watching is not None:
            self._watching.cancel()

    async def _handshake(self) -> None:
        """Ask until both channels have answered."""
        self.client = self.process.manager.client(context=context())
        self.client.start_channels(stdin=False, hb=False)
        while True:
            request = self.client.kernel_info()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._answer(request)
                    await self._listen(request, Reply(), lambda text: None)
                    break
            if not await self.process.alive():
                raise ChildProcessError(await self.process.how_it_ended())
        await asyncio.to_thread(self.process.remember_family)

    def _look_around(self) -> None:
        """Before a call: files that were uploaded belong to the code, and a full workspace is not the code's doing."""
        self.process.hand_over()
        with contextlib.suppress(watch.Hidden):
            self._disk_before = watch.disk(self._folders, self.limits)

    @property
    def _folders(self) -> tuple[Path, Path]:
        return self.workspace, self.process.runtime

    async def _call(self, code: str, reply: Reply, output: Callable[[str], None]) -> None:
        """One request, until its answer and all its output are here, or the kernel is gone."""
        talk = asyncio.create_task(self._talk(code, reply, output))
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({talk, gone}, return_when=asyncio.FIRST_COMPLETED)
            if self.ended:
                await gone
            else:
                talk.result()
        except _UNREADABLE:
            logger.warning("What a kernel sent could not be read; it was ended.", exc_info=True)
            await self.kill("what it sent could not be read")
        finally:
            talk.cancel()
            gone.cancel()
            await asyncio.wait({talk, gone})

    async def _talk(self, code: str, reply: Reply, output: Callable[[str], None]) -> None:
        request = self.client.execute(code, allow_stdin=False, stop_on_error=False)
        listening = asyncio.create_task(self._listen(request, reply, output))
        try:
            content = await self._answer(request)
            reply.value, reply.error = str(content["value"])[:20_100], str(content["error"])[:8_100]
            reply.images = [str(name) for name in content["images"]][: self.limits.images]
            reply.cut = reply.cut or content["cut"] is True
            async with asyncio.timeout(LAST_OUTPUT_SECONDS):
                await listening
        finally:
            listening.cancel()

    async def _answer(self, request: str) -> dict[str, Any]:
        while True:
            message = await self.client.get_shell_msg()
            if message["parent_header"].get("msg_id") == request:
                return dict(message["content"])

    async def _listen(self, request: str, reply: Reply, output: Callable[[str], None]) -> None:
        """Pass on what is printed, until the kernel says that it is idle."""
        room = self.limits.output_bytes
        while True:
            message = await self._next_message()
            if message["parent_header"].get("msg_id") == request:
                if message["content"].get("execution_state") == "idle":
                    return
                if message["msg_type"] == "stream":
                    text = message["content"]["text"].encode(errors="replace")
                    kept = text[:room].decode(errors="ignore")
                    reply.cut = reply.cut or len(text) > room
                    room -= min(len(text), room)
                    reply.text += kept
                    output(kept)
            # Taking a message that is already there need not yield to the loop; and one that is of no use may wait.
            await asyncio.sleep(0 if room else 0.02)

    async def _next_message(self) -> dict[str, Any]:
        while True:
            try:
                return dict(await self.client.get_iopub_msg())
            except ValueError:
                # A kernel short of memory sends half a message; what comes after it is whole again.
                logger.debug("Passed over a message that could not be read.", exc_info=True)
                await asyncio.sleep(0.02)

    async def _stop(self, call: asyncio.Task[None]) -> None:
        """Interrupt what runs; kill the kernel if the code goes on all the same."""
        deadline = time.monotonic() + self.limits.interrupt_seconds
        while not call.done() and not self.ended and time.monotonic() < deadline:
            await self.process.manager.interrupt_kernel()
            await asyncio.wait({call}, timeout=0.1)
            await asyncio.to_thread(self.process.kill_strays)
            # Then once more: an interrupt that came before the first line of the code is lost.
            await asyncio.wait({call}, timeout=0.3)
        if not call.done():
            await self.kill("it did not react to Stop")
        await asyncio.wait({call})

    async def _watch(self) -> None:
        """Until the kernel ends, by itself or because it takes too much."""
        tick = 0
        while not (trouble := await self._trouble(look_at_disk=tick % 4 == 0)):
            tick += 1
            await self._next_look()
        logger.info("Kernel ended: %s.", trouble)
        await self.kill(trouble)

    async def _trouble(self, look_at_disk: bool) -> str:
        if not await self.process.alive():
            return await self.process.how_it_ended()
        everyone = await asyncio.to_thread(self.process.everyone)
        if trouble := await asyncio.to_thread(watch.memory_breach, everyone, self.limits):
            return trouble
        if look_at_disk:
            return await asyncio.to_thread(watch.disk_breach, self._folders, self.limits, self._disk_before)
        return ""

    async def _next_look(self) -> None:
        """Often while code runs, else once a second (a thread of it may still be at work)."""
        if self.busy.locked():
            await asyncio.sleep(0.25)
        else:
            self._called.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), 1)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` although we are being cancelled."""
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
