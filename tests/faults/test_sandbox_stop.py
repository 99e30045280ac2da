"""Stop means stop: at once, whatever the code does, and nothing of it runs on."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from sandbox_chat import descendants, sandbox, stop, until

from utils.python_sandbox import execute_python

ON = "print('on', flush=True)\n"
POLITE = {
    "busy loop": ON + "while True: pass",
    "sleep": "import time\n" + ON + "time.sleep(1e6)",
    "numpy": "import numpy\na = numpy.random.rand(300, 300)\n" + ON + "while True: a = a @ a / 300",
    "child process": "import subprocess\n" + ON + "subprocess.run(['sleep', '1000000'])",
    "child that left": "import subprocess\n" + ON + "subprocess.run(['setsid', '--wait', 'sleep', '1000000'])",
    "shell": ON + "import os\nos.system('sleep 1000000')",
    "awaiting": "import asyncio\n" + ON + "await asyncio.sleep(1e6)",
    "printing": "while True: print('on', flush=True)",
}
DEAF = "import signal\nsignal.signal(signal.SIGINT, lambda *_: None)\n" + ON + "while True: pass"


@pytest.mark.parametrize("mode", ["bubblewrap", "none"])
async def test_stop_ends_the_code_and_keeps_the_variables(tmp_path: Path, mode: str) -> None:
    async with sandbox(tmp_path, mode) as chat:
        await chat.python("kept = 'kept'")
        kernel = set(descendants())
        for name, code in POLITE.items():
            # The better of two: other work on the machine must not decide.
            seconds = min([await stop(await chat.begin(code)) for _ in range(2)])
            assert seconds < 0.5, f"{name}: {seconds:.2f} s"
            assert set(descendants()) == kernel, name
        assert await chat.python("kept") == "'kept'"


@pytest.mark.parametrize("mode", ["bubblewrap", "none"])
async def test_code_that_does_not_listen_is_killed_and_the_loss_is_told(tmp_path: Path, mode: str) -> None:
    async with sandbox(tmp_path, mode) as chat:
        running = await chat.begin(DEAF)
        assert await stop(running) < 3
        assert not descendants()
        assert "(it did not react to Stop): variables from earlier calls are gone" in await chat.python("1")


async def test_stop_pressed_twice_is_still_one_stop(tmp_path: Path) -> None:
    async with sandbox(tmp_path, interrupt_seconds=0.5) as chat:
        running = await chat.begin(DEAF)
        running.cancel()
        await asyncio.sleep(0.1)
        await stop(running)
        assert not descendants()


async def test_stop_right_after_the_start_is_not_lost(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        await chat.python("kept = 1")
        running = asyncio.create_task(chat.python("while True: pass"))
        await asyncio.sleep(0.02)
        assert await stop(running) < 1.5
        assert await chat.python("kept") == "1"


async def test_the_watchers_of_many_stops_leave_nothing_behind(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        for _ in range(5):
            await stop(await chat.begin(POLITE["sleep"]))
        assert await chat.python("1") == "1"
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["bubblewrap", "none"])
async def test_kill_9_of_the_server_leaves_no_process_behind(tmp_path: Path, mode: str) -> None:
    async with sandbox(tmp_path, mode):
        pass
    code = (
        "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '1000000'])\nprint('on', flush=True)\nwhile True: pass"
    )
    server = subprocess.Popen(  # noqa: ASYNC220 - it shall have no part in this loop
        [sys.executable, __file__, mode, str(tmp_path), code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"on\n"
            server_process = psutil.Process(server.pid)
            await until(lambda: "sleep" in {process.name() for process in server_process.children(recursive=True)})
            everyone = server_process.children(recursive=True)
        finally:
            server.send_signal(signal.SIGKILL)
    await until(lambda: not any(map(running, everyone)))


def running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


async def serve(mode: str, folder: str, code: str) -> None:
    """What the server above does: one conversation that runs `code`."""
    async with sandbox(Path(folder), mode) as chat:
        await execute_python(code, replace(chat.context, output=partial(print, end="", flush=True)))


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
