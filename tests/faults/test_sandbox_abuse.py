"""Code that takes all it can get: the server stays awake and small, the person is told, and the next call works."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sandbox_chat import Chat, descendants, responsive, sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 2**20
MEMORY = 600 * MB
EATER = "x = []\nwhile True: x.append(bytearray(10_000_000))"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def abused(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chat]:
    async with sandbox(
        tmp_path_factory.mktemp("data"),
        seconds=6,
        memory_bytes=MEMORY,
        workspace_bytes=100 * MB,
        workspace_files=500,
        temp_bytes=20 * MB,
        processes=40,
    ) as chat:
        yield chat


@pytest_asyncio.fixture(loop_scope="module")
async def chat(abused: Chat) -> Chat:
    """The conversation with an empty workspace and a running kernel."""
    abused.shown.clear()
    for path in abused.workspace.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    await abused.python("1")
    return abused


async def test_one_huge_object(chat: Chat) -> None:
    async with responsive():
        assert "MemoryError" in await chat.python("kept = 1\n'x' * 10**11")
    assert await chat.python("kept") == "1"


async def test_a_list_that_grows(chat: Chat) -> None:
    async with responsive():
        assert "MemoryError" in await chat.python(EATER)
    assert await chat.python("del x") == "(no output)"


async def test_ten_processes_that_each_grow(chat: Chat) -> None:
    code = (
        "import os, time\n"
        "for _ in range(10):\n"
        "    if os.fork() == 0:\n"
        f"        try: exec({EATER!r})\n"
        "        except MemoryError: time.sleep(60)\n"
        "time.sleep(60)"
    )
    async with responsive():
        assert "[Python was ended: it used more than 600 MB of memory." in await chat.python(code)
    assert not descendants()
    assert (await chat.python("1")).endswith("1")


async def test_a_fork_bomb(chat: Chat) -> None:
    code = "import os, time\nfor _ in range(300):\n    if os.fork() == 0:\n        time.sleep(2)\n        os._exit(0)"
    async with responsive():
        assert "BlockingIOError" in await chat.python(code)
        assert len(descendants()) < 60
    # Ended processes count until somebody asks how they ended.
    await chat.python("try:\n    while True: os.wait()\nexcept ChildProcessError: pass")


async def test_a_thread_bomb(chat: Chat) -> None:
    code = (
        "import threading\n"
        "done = threading.Event()\n"
        "try:\n"
        "    for _ in range(300): threading.Thread(target=done.wait).start()\n"
        "finally: done.set()"
    )
    async with responsive():
        assert "can't start new thread" in await chat.python(code)


async def test_printing_without_end(chat: Chat) -> None:
    async with responsive():
        said = await chat.python("while True: print('x' * 1000)")
    assert "[The output was cut after 200 kB.]" in said
    assert "[Stopped: it ran longer than 6 s." in said
    assert len("".join(chat.shown)) <= 200_000
    assert await chat.python("'still here'") == "'still here'"


async def test_one_huge_print(chat: Chat) -> None:
    await chat.python("kept = 1")
    async with responsive():
        assert "[The output was cut" in await chat.python("print('x' * 50_000_000)")
    assert await chat.python("kept") == "1"


async def test_children_that_print_without_end(chat: Chat) -> None:
    async with responsive():
        assert "[The output was cut" in await chat.python("import os\nos.system('yes | head -c 300000000')")


async def test_what_was_printed_is_not_kept(chat: Chat) -> None:
    resident = "open('/proc/self/statm').read().split()[1]"
    before = int(await chat.python(f"int({resident}) * 4096 // 10**6"))
    await chat.python("import os\nos.system('yes | head -c 300000000')\nprint('x' * 50_000_000)")
    assert int(await chat.python(f"int({resident}) * 4096 // 10**6")) < before + 150


async def test_a_million_displays(chat: Chat) -> None:
    async with responsive():
        said = await chat.python("from IPython.display import display\nfor i in range(1_000_000): display('y')")
    assert "[The output was cut" in said or "[Stopped" in said


async def test_messages_past_every_bound_inside(chat: Chat) -> None:
    code = (
        "kernel = get_ipython().kernel\n"
        "for _ in range(20_000):\n"
        "    kernel.session.send(kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'x' * 100_000},"
        " parent=kernel.get_parent())"
    )
    async with responsive():
        said = await chat.python(code)
    assert len("".join(chat.shown)) <= 200_000
    assert "cut" in said or "ended" in said


async def test_one_message_too_large_to_take(chat: Chat) -> None:
    code = "get_ipython().kernel.iopub_socket.send_multipart([b'x' * 100_000_000])"
    async with responsive():
        await chat.python(code)
        said = await chat.python("print('heard')")
    assert said == "heard" or "[Python was" in said


async def test_a_reply_that_makes_no_sense(chat: Chat) -> None:
    code = (
        "k = get_ipython().kernel\n"
        "k.session.send(k.shell_stream, 'execute_reply', {'value': 1}, parent=k.get_parent(),"
        " ident=k._shell_parent_ident.get() if hasattr(k, '_shell_parent_ident') else k._parent_ident['shell'])\n"
        "import time\ntime.sleep(10)"
    )
    async with responsive():
        assert "[Python was ended: what it sent could not be read." in await chat.python(code)


async def test_a_file_up_to_the_cap(chat: Chat) -> None:
    async with responsive():
        said = await chat.python("with open('big', 'wb') as file:\n    while True: file.write(bytes(10**6))")
    assert "File too large" in said


async def test_files_up_to_the_cap_then_tidying_up(chat: Chat) -> None:
    code = (
        "import time\n"
        "for i in range(10):\n"
        "    with open(f'big{i}', 'wb') as file: file.write(bytes(5 * 10**7))\n"
        "time.sleep(15)"
    )
    async with responsive():
        assert "[Python was ended: its files took more than 100 MB." in await chat.python(code)
    full = await chat.python("import os, time\ntime.sleep(2)\nfor n in os.listdir(): os.remove(n)\nos.listdir()")
    assert full.endswith("[]")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("for i in range(2000): open(f'n{i}', 'w').close()", "it wrote more than 500 files"),
        ("import os\nfor i in range(2000): os.mkdir(f'n{i}')", "it wrote more than 500 files"),
        ("import os\nfor i in range(100): os.mkdir('d'); os.chdir('d')", "its folders were nested"),
    ],
)
async def test_more_files_and_folders_than_allowed(chat: Chat, code: str, told: str) -> None:
    async with responsive():
        assert told in await chat.python(f"{code}\nimport time\ntime.sleep(15)")
