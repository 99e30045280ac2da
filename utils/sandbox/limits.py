"""What code may use. One set of numbers for the server, the kernel and the tests."""

from dataclasses import dataclass

MB = 1024 * 1024


class SandboxUnavailable(RuntimeError):
    """No code can run; the message says why and what to do."""


@dataclass(frozen=True)
class SandboxLimits:
    """Bounds of one sandbox; `seconds`, `output_bytes` and `images` are for one call, `kernels` is for the server."""

    seconds: float = 120
    """How long a call may run before it is stopped."""
    interrupt_seconds: float = 2
    """How long interrupted code may go on (it may be tidying up) before its process is killed."""
    output_bytes: int = 200_000
    """Printed text that is kept; the rest is dropped, and the result says so."""
    images: int = 10
    memory_bytes: int = 2048 * MB
    """Address space of each process, and resident memory of all of them together."""
    processes: int = 128
    """Processes and threads."""
    workspace_bytes: int = 1024 * MB
    """The largest file, and all files of the workspace together."""
    workspace_files: int = 20_000
    temp_bytes: int = 256 * MB
    """/tmp and /dev/shm, each; they live in memory and end with the kernel."""
    kernels: int = 8
    """Live kernels in this server; the one idle for longest makes room."""
