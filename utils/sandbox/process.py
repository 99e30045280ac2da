"""The processes of one sandbox: started as a tree, found again as a tree, ended as a tree.

server ─ bwrap ─ bwrap (process 1 inside) ─ [as root: bwrap] ─ kernel ─ what the code starts
server ─ nursery ─ kernel ─ what the code starts          (without bubblewrap)
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from utils.sandbox import isolation
from utils.sandbox.limits import MB, SandboxLimits

LARGEST_MESSAGE = 2 * MB


class _Manager(AsyncKernelManager):
    """Jupyter's manager, with our command line in place of an installed kernel's."""

    command: list[str]

    @property
    def kernel_spec(self) -> KernelSpec:
        # Signals would reach bwrap, not the code; so an interrupt is a message.
        return KernelSpec(argv=self.command, interrupt_mode="message")


class SandboxProcess:
    """The kernel's process and all around and beneath it."""

    def __init__(self, workspace: Path, data_dir: Path, limits: SandboxLimits, sandboxed: bool) -> None:
        self.workspace, self.data_dir, self.limits, self.sandboxed = workspace, data_dir, limits, sandboxed
        # A socket's path has at most 107 characters, so this folder is not in DATA_DIR, which may be anywhere.
        self.runtime = Path(tempfile.mkdtemp(prefix="pf-kernel-"))
        connection_file = str(self.runtime / "connection.json")
        sockets = str(self.runtime / "s")
        self.manager = _Manager(context=context(), transport="ipc", ip=sockets, connection_file=connection_file)
        self._family: set[psutil.Process] = set()
        self._lifeline: int | None = None

    async def launch(self) -> None:
        """Start it. On the main thread's loop: a sandbox dies with the thread that started it. Raises OSError."""
        self.manager.write_connection_file()
        await asyncio.to_thread(self.hand_over)
        self.manager.command = self._command()
        stdin, self._lifeline = os.pipe()
        try:
            with (self.runtime / "complaint").open("wb") as complaint:
                await self.manager.start_kernel(
                    stdin=subprocess.DEVNULL if self.sandboxed else stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=complaint,
                    cwd=str(self.workspace),
                    env=isolation.environment(str(self.runtime)),
                )
        finally:
            os.close(stdin)

    def hand_over(self) -> None:
        """Give the code the files that were put into its workspace, by upload say. Blocking."""
        if self.sandboxed:
            isolation.hand_over(self.runtime)
            isolation.hand_over(self.workspace)

    def _command(self) -> list[str]:
        boot = "/boot" if self.sandboxed else str(isolation.BOOT)
        program = isolation.boot_program(boot, self.manager.connection_file, self.limits)
        if not self.sandboxed:
            return isolation.unsandboxed(program)
        return isolation.bubblewrapped(program, self.workspace, self.runtime, self.data_dir, self.limits)

    @property
    def _provisioner(self) -> LocalProvisioner:
        assert isinstance(self.manager.provisioner, LocalProvisioner)
        return self.manager.provisioner

    async def alive(self) -> bool:
        return bool(await self.manager.is_alive())

    async def how_it_ended(self) -> str:
        """Its exit in words; call it when it is no longer alive."""
        status = await self._provisioner.poll()
        if status is not None and (number := status - 128 if status > 128 else -status) in set(signal.Signals):
            return f"it crashed ({signal.Signals(number).name})"
        return f"it ended by itself (exit status {status})"

    def complaint(self) -> str:
        """The last line that starting it left behind."""
        with contextlib.suppress(OSError):
            lines = (self.runtime / "complaint").read_text(errors="replace")[-2000:].strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def everyone(self) -> list[psutil.Process]:
        """All processes of the sandbox. Blocking."""
        with contextlib.suppress(psutil.NoSuchProcess):
            guard = psutil.Process(self._provisioner.pid)
            return [guard, *guard.children(recursive=True)]
        return []

    def remember_family(self) -> None:
        """Call it before any code has run: whoever comes later was started by code. Blocking."""
        self._family = set(self.everyone())

    def kill_strays(self) -> None:
        """End what the code started, the kernel stays. Blocking."""
        for process in set(self.everyone()) - self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    async def end(self) -> None:
        """End all processes, return when they are gone, remove what they leave behind."""
        if self.manager.has_kernel:
            everyone = await asyncio.to_thread(self.everyone)
            for process in everyone[1:2] or everyone:
                # Process 1 inside takes all others with it and goes last; or the nursery sees that its kernel ends.
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if not await _within(2, lambda: not _running(everyone[:1])):
                await self._provisioner.kill()
            await _within(2, lambda: not _running(everyone))
            await self._provisioner.wait()
        await self.manager.cleanup_resources()
        if self._lifeline is not None:
            os.close(self._lifeline)
        await asyncio.to_thread(shutil.rmtree, self.runtime, ignore_errors=True)


@cache
def context() -> zmq.asyncio.Context:
    """One for all kernels. Its sockets take few and small messages: more wait, in the sandbox's own memory."""
    shared = zmq.asyncio.Context()
    options = {zmq.MAXMSGSIZE: LARGEST_MESSAGE, zmq.RCVHWM: 4, zmq.RECONNECT_IVL: 20, zmq.LINGER: 0}
    for option, value in options.items():
        shared.setsockopt(option, value)
    return shared


async def _within(seconds: float, condition: Callable[[], Any]) -> bool:
    """Wait for `condition`; whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - no event tells that a grandchild has ended
                await asyncio.sleep(0.01)
            return True
    return False


def _running(processes: list[psutil.Process]) -> bool:
    def runs(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        return False

    return any(map(runs, processes))
