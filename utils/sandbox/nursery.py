"""Without bubblewrap: the parent of the kernel. When the server or the kernel goes, it ends all descendants.

Started as a script: `python -I nursery.py PROGRAM…`, standard input being a pipe whose other end only the server
holds, so that it closes however the server ends.
"""

import contextlib
import ctypes
import os
import select
import subprocess
import sys
import threading

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, SIGKILL = 1, 36, 9


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere descendants that left their parent are not found."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def wait_for_end(child: subprocess.Popen[bytes], server: int) -> int:
    """Until the child has ended or the server has gone; the child's exit status, 137 if the server went."""
    ended, end = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(end)

    threading.Thread(target=wait, daemon=True).start()
    ready, _, _ = select.select([server, ended], [], [])
    return 137 if server in ready else child.wait()


def end_descendants() -> None:
    """Orphans become our children as their parents die, so look again until nobody is left."""
    while descendants := psutil.Process().children(recursive=True):
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(descendants, timeout=1)


if __name__ == "__main__":
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.environ.pop("JPY_PARENT_PID", None)
    kernel = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, SIGKILL)
    )
    status = wait_for_end(kernel, sys.stdin.fileno())
    end_descendants()
    sys.exit(status if status >= 0 else 128 - status)
