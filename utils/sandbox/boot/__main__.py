"""What runs inside the sandbox: limits first, then an ipykernel that says no more than the server wants to hear.

Started as a folder, with nothing of this project importable but the file beside this one: the standard library,
ipykernel and IPython only. All text goes to the stream channel, bounded here, because ipykernel itself would send
without end; values, errors and the names of pictures come back with the reply. What is bounded here for good manners
is bounded once more in the server, against bad ones.

    python -I boot CONNECTION_FILE|trial LIMITS_AS_JSON
"""

import codecs
import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.iostream import OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQInteractiveShell
from sandbox_call import Call, explain, shorten
from traitlets import Type

LONGEST_VALUE = 20_000

limits: dict[str, Any] = {}
call = Call(0, 0)


class Stream(OutStream):
    """sys.stdout and sys.stderr."""

    flush_interval = 0.05

    def write(self, string: str) -> int:
        if isinstance(string, str) and not (kept := call.take(string)):
            return len(string)
        super().write(kept if isinstance(string, str) else string)
        return len(string)

    def fileno(self) -> int:
        return 1 if self.name == "stdout" else 2


class DescriptorReader(threading.Thread):
    """Reads what child processes and C code write to descriptors 1 and 2, and prints it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.pipe, write_end = os.pipe()
        self.reading = threading.Lock()
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        os.close(write_end)

    def run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while select.select([self.pipe], [], []):
            with self.reading:
                sys.stdout.write(decoder.decode(os.read(self.pipe, 65536)))

    def drain(self) -> None:
        """Wait until what was written has been printed; half a second if something in the background writes on."""
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            with self.reading:
                waiting = fcntl.ioctl(self.pipe, termios.FIONREAD, b"\0" * 4)
            if not any(waiting):
                return
            time.sleep(0.001)


class Display(ZMQDisplayPublisher):
    """display(…), and the figures that matplotlib shows at the end of a call."""

    def publish(self, data: dict[str, Any], *args: Any, **options: Any) -> None:
        if text := call.show(data):
            sys.stdout.write(text + "\n")


class Value(ZMQShellDisplayHook):
    """The value of the last expression."""

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        call.value = shorten(call.show(format_dict), LONGEST_VALUE)

    def finish_displayhook(self) -> None:
        pass

    def log_output(self, format_dict: dict[str, Any]) -> None:
        """IPython would keep every value's text and picture for good."""


class Shell(ZMQInteractiveShell):
    """IPython, with errors told the short way."""

    displayhook_class = Type(Value)
    display_pub_class = Type(Display)
    _last_traceback = None

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """IPython would keep a copy of all that is printed, for good."""
        yield

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        call.error = explain(self._get_exc_info(exc_tuple)[1])

    def showsyntaxerror(self, *args: Any, **options: Any) -> None:
        self.showtraceback()


class Kernel(IPythonKernel):
    """Sends one bounded reply a call; nothing but the stream and the status travel on the other channel."""

    shell_class = Type(Shell)

    async def do_execute(self, *args: Any, **options: Any) -> dict[str, Any]:
        global call
        call = Call(limits["output_bytes"], limits["images"])
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            await super().do_execute(*args, **options)
        except KeyboardInterrupt as interrupt:
            call.error = explain(interrupt)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        descriptors.drain()
        said = {"value": call.value, "error": call.error, "images": call.images, "cut": call.cut}
        return {"status": "ok", "execution_count": 0, "payload": [], "user_expressions": {}, **said}

    def pre_handler_hook(self) -> None:
        """ipykernel would let an interrupt strike here already, outside of the code, and then never reply."""

    post_handler_hook = pre_handler_hook

    async def interrupt_request(self, *args: Any) -> None:
        await super().interrupt_request(*args)
        # ipykernel's answer to an interrupt of awaiting code is put into the loop, but does not wake it.
        self.io_loop.add_callback(lambda: None)


class App(IPKernelApp):
    """The kernel's process."""

    kernel_class = Type(Kernel)
    outstream_class = f"{__name__}.Stream"
    capture_fd_output = False


def run_command(_: str, command: str) -> None:
    """The cell magic behind the run_command tool."""
    status = subprocess.call(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL)
    if status:
        call.error = f"Exit status {status}." if status > 0 else f"Ended by signal {-status}."


def apply_limits() -> None:
    """Bounds that the operating system keeps. Set here inside, because bwrap itself needs more than the code does."""
    for kind, most in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["workspace_bytes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 1024),
    ):
        resource.setrlimit(kind, (most, most))
    limit_processes(limits["processes"])
    with contextlib.suppress(OSError):
        # If the machine runs out of memory, let it be this process that goes.
        Path("/proc/self/oom_score_adj").write_text("1000")
    # The server comes first.
    os.nice(10)
    if os.getpid() != os.getpgid(0):
        # ipykernel passes an interrupt on to its children only if it leads a group.
        os.setpgid(0, 0)


def limit_processes(most: int) -> None:
    """Before Linux 5.14 all processes of the user count, everywhere. If that leaves no room, the watch must do."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, hard))
    try:
        threading.Thread(target=lambda: None).start()
    except RuntimeError:
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
    else:
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


if __name__ == "__main__":
    # Python looks for modules first in the folder it runs, even with -I. People's code finds its own, last, so that
    # no file of theirs is taken for one of Python's.
    sys.path[:] = [*sys.path[1:], str(Path.cwd())]
    limits.update(json.loads(sys.argv[2]))
    apply_limits()
    if sys.argv[1] != "trial":
        app = App.instance()
        app.initialize(["-f", sys.argv[1], "--HistoryManager.enabled=False"])
        app.kernel.shell.register_magic_function(run_command, "cell", "run_command")
        # From here on nothing reaches the file in which the server looks for why starting failed.
        descriptors = DescriptorReader()
        descriptors.start()
        app.start()
