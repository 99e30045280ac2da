"""A kernel that dies by itself, or without bubblewrap around it."""

from pathlib import Path

import pytest
from sandbox_chat import responsive, sandbox


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os\nos._exit(1)", "it ended by itself (exit status 1)"),
        ("import ctypes\nctypes.string_at(0)", "it crashed (SIGSEGV)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "it crashed (SIGKILL)"),
    ],
)
@pytest.mark.parametrize("mode", ["bubblewrap", "none"])
async def test_a_crash_is_told_and_the_next_call_works(tmp_path: Path, mode: str, code: str, told: str) -> None:
    async with sandbox(tmp_path, mode) as chat:
        async with responsive():
            assert f"[Python was ended: {told}. All variables are gone; the files are kept.]" in await chat.python(code)
        assert f"[Python was started anew ({told}): variables" in await chat.python("1")


async def test_memory_is_watched_without_bubblewrap_too(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "none", memory_bytes=600 * 2**20) as chat:
        code = (
            "import os, time\n"
            "for _ in range(4):\n"
            "    if os.fork() == 0:\n"
            f"        x = bytearray({200 * 2**20})\n"
            "        time.sleep(60)\n"
            "time.sleep(60)"
        )
        assert "it used more than 600 MB of memory" in await chat.python(code)
