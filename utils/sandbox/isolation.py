"""The bubblewrap command line: everything the code inside can see is on the list below, all else does not exist.

As an ordinary user one bwrap does it all. As root the outer bwrap hides the machine, then the program leaves uid 0
(root is exempt from process limits), and an inner bwrap, now an ordinary user's, takes away the right to make user
namespaces.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from utils.sandbox import workspace as files
from utils.sandbox.limits import SandboxLimits

INSIDE = Path("/workspace")
BOOT = Path(__file__).with_name("boot")
PROJECT = Path(__file__).parents[2]
SANDBOX_UID = 65534
"""Whom the code runs as when the server is root: nobody."""

_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_PREFIX = ("bin", "lib", "lib32", "lib64", "share", "etc", "pyvenv.cfg")
_NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session")
_NO_PRIVILEGE = ("--unshare-user", "--disable-userns", "--cap-drop", "ALL")
_LEAVE_ROOT = (
    f"import os, sys; os.setgroups([]); os.setresgid({SANDBOX_UID}, {SANDBOX_UID}, {SANDBOX_UID}); "
    f"os.setresuid({SANDBOX_UID}, {SANDBOX_UID}, {SANDBOX_UID}); os.execv(sys.argv[1], sys.argv[1:])"
)


def bubblewrapped(
    program: list[str], workspace: Path, runtime: Path, data_dir: Path, limits: SandboxLimits
) -> list[str]:
    """`program` inside the sandbox: `workspace` is shown as /workspace, `runtime` (the kernel's sockets) as itself."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise FileNotFoundError("the program bwrap is not installed")
    as_root = os.geteuid() == 0
    line = [
        bwrap,
        *_NAMESPACES,
        *(("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID") if as_root else _NO_PRIVILEGE),
    ]
    line += _memory_file_systems(limits)
    line += _directories(runtime, data_dir)
    line += ["--bind", str(workspace), str(INSIDE), "--ro-bind", str(BOOT), "/boot"]
    line += ["--remount-ro", "/", "--chdir", str(INSIDE), "--clearenv"]
    for name, value in environment("/tmp").items():
        line += ["--setenv", name, value]
    if as_root:
        line += ["--", sys.executable, "-I", "-S", "-c", _LEAVE_ROOT]
        line += [bwrap, "--dev-bind", "/", "/", *_NO_PRIVILEGE, "--die-with-parent", "--chdir", str(INSIDE)]
    return [*line, "--", *program]


def boot_program(boot: str, connection_file: str, limits: SandboxLimits) -> list[str]:
    """The Python that becomes the kernel; `boot` is where that folder is seen. -I: all else it imports is the venv."""
    return [sys.executable, "-IB", boot, connection_file, json.dumps(asdict(limits))]


def unsandboxed(program: list[str]) -> list[str]:
    """`program` without a sandbox, in the care of a parent that ends it with the server."""
    return [sys.executable, "-I", str(BOOT.with_name("nursery.py")), *program]


def environment(temp: str) -> dict[str, str]:
    """All environment variables of the kernel; `temp` is its home and its place for temporary files."""
    return {
        "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": temp,
        "TMPDIR": temp,
        "MPLCONFIGDIR": f"{temp}/.matplotlib",
        "IPYTHONDIR": f"{temp}/.ipython",
        "LANG": "C.UTF-8",
        "USER": "sandbox",
        # Few threads and arenas keep address space small, so that its limit is about the code's own data;
        # a low threshold gives freed memory back to the machine.
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


async def trial(data_dir: Path, limits: SandboxLimits) -> str:
    """Run the real command line once. "" if the sandbox works here, else why it does not."""
    with tempfile.TemporaryDirectory(prefix="pf-trial-") as directory:
        workspace, runtime = Path(directory) / "workspace", Path(directory) / "runtime"
        workspace.mkdir()
        runtime.mkdir()
        hand_over(workspace)
        hand_over(runtime)
        try:
            line = bubblewrapped(boot_program("/boot", "trial", limits), workspace, runtime, data_dir, limits)
            process = await asyncio.create_subprocess_exec(
                *line,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={},
            )
        except OSError as error:
            return str(error)
        try:
            _, complaint = await asyncio.wait_for(process.communicate(), 30)
        except TimeoutError:
            process.kill()
            await process.communicate()
            return "it did not start within 30 s"
        if process.returncode == 0:
            return ""
        return (complaint.decode(errors="replace").strip().splitlines() or [f"exit status {process.returncode}"])[-1][
            :300
        ]


def hand_over(directory: Path) -> None:
    """Give the files to whom the code runs as. Only root has to: for all others that is themselves."""
    if os.geteuid() == 0:
        files.own(directory, SANDBOX_UID)


def _memory_file_systems(limits: SandboxLimits) -> list[str]:
    """/proc, /dev and the places for temporary files, all of them bounded: /dev itself is a tmpfs without a size."""
    size = ["--size", str(limits.temp_bytes)]
    return [
        *("--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", *size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--perms", "1777", *size, "--tmpfs", "/tmp"),
    ]


def _directories(runtime: Path, data_dir: Path) -> Iterator[str]:
    """The system, Python and `runtime`; what is private and lies inside (a project in /usr/src/app) is masked."""
    shown: list[Path] = []
    for path in filter(os.path.lexists, map(Path, _SYSTEM)):
        if path.is_symlink() and path.parent == Path("/"):
            yield from ("--symlink", str(path.readlink()), str(path))
        else:
            yield from _bind("--ro-bind", path, shown, [])
    private = (PROJECT, data_dir.resolve(), Path.home())
    masked = [place for place in private if place.is_dir() and _beneath(place, shown)]
    for place in masked:
        yield from ("--perms", "0755", "--size", "65536", "--tmpfs", str(place))
    for path in _python():
        if not _beneath(path, shown) or _beneath(path, masked):
            yield from _bind("--ro-bind", path, shown, masked)
    yield from _bind("--bind", runtime, shown, masked)
    for place in masked:
        yield from ("--remount-ro", str(place))


def _python() -> Iterator[Path]:
    """Where this Python and its packages are. Never the prefix as a whole: the project itself may be the venv."""
    roots = dict.fromkeys(Path(prefix) for prefix in (sys.base_prefix, sys.prefix))
    for root in [*roots, *(root.resolve() for root in roots)]:
        if root != Path("/usr"):
            yield from (root / name for name in _PREFIX if (root / name).exists())


def _bind(how: str, path: Path, shown: list[Path], masked: list[Path]) -> Iterator[str]:
    """Show `path`. bwrap would make missing parents for their owner alone, and inside we may be somebody else."""
    for parent in reversed(path.parents[:-1]):
        if not _beneath(parent, shown) or (_beneath(parent, masked) and parent not in masked):
            yield from ("--perms", "0755", "--dir", str(parent))
    shown.append(path)
    yield from (how, str(path), str(path))


def _beneath(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


if __name__ == "__main__":
    print(asyncio.run(trial(Path("data"), SandboxLimits())) or "bubblewrap works here")
