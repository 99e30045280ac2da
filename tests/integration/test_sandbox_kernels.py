"""When kernels start and end, and what people are told about it."""

import asyncio
import ctypes
import os
import sys
from pathlib import Path

import pytest
from sandbox_chat import Chat, descendants, sandbox, text_of, until

from utils import python_sandbox
from utils.python_sandbox import SandboxUnavailable


async def test_a_call_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    async with sandbox(tmp_path, seconds=1) as chat:
        assert "[Stopped: it ran longer than 1 s." in await chat.python("kept = 1\nimport time; time.sleep(60)")
        assert await chat.python("kept") == "1"


async def test_warm_starts_the_kernel_ahead_and_the_call_uses_it(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        await python_sandbox.warm(chat.context)
        ahead = descendants()
        assert ahead
        await chat.python("1")
        assert descendants() == ahead


async def test_two_conversations_share_nothing(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as one:
        another = Chat(tmp_path, "another")
        await asyncio.gather(one.python("x = 'mine'; open('mine.txt', 'w').close()"), another.python("x = 'other'"))
        assert await another.python("import os; x, os.listdir()") == "('other', [])"


async def test_after_an_idle_stop_the_loss_is_told_once(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        await chat.python("x = 1")
        await python_sandbox.stop_idle(0)
        assert not descendants()
        said = await chat.python("'x' in globals()")
        assert said.startswith("[Python was started anew (it was idle for long): variables from earlier calls are gone")
        assert said.endswith("False")
        assert await chat.python("1") == "1"


async def test_after_a_restart_of_the_server_the_loss_is_told(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        await chat.python("x = 1")
    async with sandbox(tmp_path) as chat:
        assert "the server was restarted" in await chat.python("1")


async def test_a_deleted_conversation_leaves_no_process_and_no_trace(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        await chat.python("x = 1")
        await python_sandbox.stop_kernel("chat")
        assert not descendants()
        assert await chat.python("1") == "1"


async def test_the_kernel_idle_for_longest_makes_room(tmp_path: Path) -> None:
    async with sandbox(tmp_path, kernels=2) as first:
        await first.python("x = 1")
        second, third = Chat(tmp_path, "second"), Chat(tmp_path, "third")
        await second.python("x = 2")
        await third.python("x = 3")
        assert await second.python("x") == "2"
        assert "another conversation needed its place" in await first.python("1")


async def test_when_all_kernels_are_busy_the_call_says_so(tmp_path: Path) -> None:
    async with sandbox(tmp_path, kernels=1) as chat:
        running = await chat.begin("print('on', flush=True)\nwhile True: pass")
        with pytest.raises(SandboxUnavailable, match="all the server takes"):
            await Chat(tmp_path, "late").python("1")
        running.cancel()
        await asyncio.wait({running})


async def test_deleting_while_code_runs_ends_the_call(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        running = await chat.begin("print('on', flush=True)\nwhile True: pass")
        await python_sandbox.stop_kernel("chat")
        assert "the conversation was deleted" in text_of(await running)


async def test_where_bubblewrap_does_not_work_auto_says_what_is_not_protected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    async with sandbox(tmp_path, "auto") as chat:
        found = await python_sandbox.level()
        assert found.name == "none"
        assert "No permissions to create new namespace" in found.warning
        assert "every file of the account" in found.warning
        assert await chat.python("1 + 1") == "2"
    async with sandbox(tmp_path, "off"):
        python_sandbox.configure("bubblewrap", tmp_path)
        assert (await python_sandbox.level()).name == "off"
        with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace"):
            await Chat(tmp_path).python("1")


async def test_off_runs_nothing(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "off") as chat:
        await python_sandbox.warm(chat.context)
        with pytest.raises(SandboxUnavailable, match="switched off"):
            await chat.python("1")
        assert not descendants()


async def test_stop_while_python_is_still_starting(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as chat:
        running = asyncio.create_task(chat.python("1"))
        await until(descendants)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await chat.python("2") == "2"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show a process's environment as a file")
async def test_processes_of_the_same_user_cannot_read_the_servers_environment(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "none"):
        get_dumpable = 3
        assert ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0) == 0
