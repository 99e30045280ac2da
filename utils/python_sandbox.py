"""execute_python and run_command: code from the model, approved by a person, in one Python per conversation.

Where bubblewrap works, code sees its own workspace and nothing else of the machine; level() says so or what is not.

    configure("auto", Path("data"))             once, at start; starts nothing
    await execute_python("1 + 1", context)      the conversation's kernel is started by its first call, or by warm()
    await close()                               all kernels gone
"""

import asyncio
import ctypes
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.sandbox import isolation
from utils.sandbox import workspace as files
from utils.sandbox.limits import SandboxLimits, SandboxUnavailable
from utils.sandbox.result import tool_result
from utils.toolkit import ToolContext, ToolResult

if TYPE_CHECKING:
    from utils.sandbox.kernel import Kernel

__all__ = [
    "SandboxLevel",
    "SandboxLimits",
    "SandboxUnavailable",
    "close",
    "configure",
    "execute_python",
    "level",
    "run_command",
    "stop_idle",
    "stop_kernel",
    "warm",
]

logger = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4
_LIMITS = SandboxLimits()
_UNPROTECTED = (
    "Code runs without a sandbox{reason}: it can read and change every file of the account that runs this server "
    "and use the network; only its environment, time, memory and output are limited."
)


@dataclass(frozen=True)
class SandboxLevel:
    """How code is kept apart here. `warning`: one sentence on what is not protected, "" if there is nothing to say."""

    name: Literal["bubblewrap", "none", "off"]
    warning: str = ""


class _State:
    """All that this module knows, made anew by configure()."""

    def __init__(self, mode: str, data_dir: Path, limits: SandboxLimits) -> None:
        self.mode, self.data_dir, self.limits = mode, data_dir, limits
        self.level: asyncio.Task[SandboxLevel] | None = None
        self.kernels: dict[str, asyncio.Task[Kernel]] = {}


_state = _State("off", Path("data"), SandboxLimits())


def configure(
    mode: Literal["auto", "bubblewrap", "none", "off"], data_dir: Path, limits: SandboxLimits = _LIMITS
) -> None:
    """Say once how code may run; starts nothing. `data_dir` is never shown to code."""
    global _state
    _state = _State(mode, data_dir.absolute(), limits)
    if mode != "off" and sys.platform == "linux":
        # A process of the same user could otherwise read the API key from /proc/<server>/environ.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def level() -> SandboxLevel:
    """What protects the machine from code, found out once by running the real command line."""
    if _state.level is None:
        _state.level = asyncio.create_task(_find_level())
    return await asyncio.shield(_state.level)


async def _find_level() -> SandboxLevel:
    if _state.mode == "off":
        return SandboxLevel("off")
    if _state.mode == "none":
        return SandboxLevel("none", _UNPROTECTED.format(reason=""))
    reason = await isolation.trial(_state.data_dir, _state.limits)
    if not reason:
        return SandboxLevel("bubblewrap")
    logger.warning("bubblewrap does not work here: %s", reason)
    if _state.mode == "auto":
        return SandboxLevel("none", _UNPROTECTED.format(reason=f" because bubblewrap does not work here ({reason})"))
    return SandboxLevel("off", f"No code can run: SANDBOX=bubblewrap, but bubblewrap does not work here ({reason}).")


async def execute_python(code: str, context: ToolContext) -> ToolResult:
    """Run Python code; returns what it prints, the value of its last expression, its figures and the files it wrote.

    Variables stay from one call to the next. The working directory holds the person's files; write new ones there.
    numpy, pandas and matplotlib are installed; there is no network, and nothing more can be installed. Matplotlib
    figures are shown to the person by themselves. A call may take two minutes.
    """
    return await _run(code, context)


async def run_command(command: str, context: ToolContext) -> ToolResult:
    """Run a shell command (sh) in the working directory of execute_python, and return what it prints.

    There is no network and nothing to type into it. A call may take two minutes.
    """
    return await _run(f"%%run_command\n{command}\n", context)


async def warm(context: ToolContext) -> None:
    """Start the conversation's kernel while a person still reads the code. Errors are logged; the call meets them."""
    try:
        await _kernel(context)
    except SandboxUnavailable as error:
        logger.warning("No kernel was started ahead: %s", error)


async def stop_kernel(conversation_id: str) -> None:
    """End the kernel of a conversation that is deleted, and forget that there was one."""
    starting = _state.kernels.pop(conversation_id, None)
    if starting is not None:
        await _end(starting, "the conversation was deleted")
    _marker(conversation_id).unlink(missing_ok=True)


async def stop_idle(idle_seconds: float) -> None:
    """End the kernels that no call has used for `idle_seconds`."""
    idle = [kernel for kernel in _live() if kernel.idle_for() >= idle_seconds]
    await asyncio.gather(*(kernel.kill("it was idle for long") for kernel in idle))


async def close() -> None:
    """End all kernels; returns when they are gone."""
    starting = list(_state.kernels.values())
    _state.kernels.clear()
    await asyncio.gather(*(_end(kernel, "the server was stopped") for kernel in starting))


async def _run(code: str, context: ToolContext) -> ToolResult:
    kernel = await _kernel(context)
    notice = await asyncio.to_thread(_lost_state, kernel, context.conversation_id)
    most = kernel.limits.workspace_files
    before = await asyncio.to_thread(files.snapshot, context.workspace, most)
    reply = await kernel.run(code, context.output)
    after = await asyncio.to_thread(files.snapshot, context.workspace, most)
    return await asyncio.to_thread(tool_result, notice, reply, files.written(before, after), kernel.limits, context)


async def _kernel(context: ToolContext) -> "Kernel":
    """The conversation's kernel, started if there is none or it has ended. Raises SandboxUnavailable."""
    starting = _state.kernels.get(context.conversation_id)
    previous = _started(starting)
    if starting is None or (starting.done() and (previous is None or previous.ended)):
        starting = asyncio.create_task(_start(context, previous.ended if previous else "the server was restarted"))
        _state.kernels[context.conversation_id] = starting
    return await asyncio.shield(starting)


async def _start(context: ToolContext, why_new: str) -> "Kernel":
    protection = await level()
    if protection.name == "off":
        raise SandboxUnavailable(protection.warning or "Code tools are switched off (SANDBOX=off).")
    from utils.sandbox.kernel import Kernel  # takes a while, and most conversations run no code

    while len(live := _live()) >= _state.limits.kernels:
        idle = [kernel for kernel in live if not kernel.busy.locked()]
        if not idle:
            raise SandboxUnavailable(
                f"{len(live)} conversations are running code, which is all the server takes. Try again soon."
            )
        await max(idle, key=Kernel.idle_for).kill("another conversation needed its place")
    kernel = Kernel(
        context.workspace.absolute(), _state.data_dir, _state.limits, protection.name == "bubblewrap", why_new
    )
    await kernel.start()
    return kernel


def _started(starting: "asyncio.Task[Kernel] | None") -> "Kernel | None":
    if starting is None or not starting.done() or starting.cancelled() or starting.exception():
        return None
    return starting.result()


def _live() -> list["Kernel"]:
    return [kernel for kernel in map(_started, _state.kernels.values()) if kernel is not None and not kernel.ended]


async def _end(starting: "asyncio.Task[Kernel]", because: str) -> None:
    starting.cancel()
    await asyncio.wait({starting})
    if kernel := _started(starting):
        await kernel.kill(because)


def _marker(conversation_id: str) -> Path:
    """A file that is there if this conversation has run code: only then has a new kernel lost something."""
    return _state.data_dir / "kernels" / conversation_id


def _lost_state(kernel: "Kernel", conversation_id: str) -> str:
    """Before a kernel's first call: the sentence that tells model and person that earlier variables are gone, or ""."""
    marker, reason, kernel.why_new = _marker(conversation_id), kernel.why_new, ""
    if reason and marker.exists():
        return f"[Python was started anew ({reason}): variables from earlier calls are gone, files are kept.]"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return ""


if __name__ == "__main__":

    async def trial(place: Path) -> None:
        configure("auto", Path("data"))
        context = ToolContext("trial", place, lambda text: print("|", text, end=""))
        print(await level())
        print(await execute_python("import sys; print('hello'); sys.version", context))
        print(await run_command("pwd; ls -la", context))
        await close()

    directory = Path("data/workspaces/trial")
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(trial(directory))
