"""What code inside the sandbox cannot see, reach or write. Each attempt is first shown to work outside."""

import ast
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sandbox_chat import Chat, sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = Path(__file__).parents[2]
READ = (
    "from pathlib import Path\ntry: print(Path({path!r}).read_text())\nexcept OSError as error: print('refused', error)"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chat]:
    os.environ["SECRET_OF_THE_SERVER"] = "s3cret"
    async with sandbox(tmp_path_factory.mktemp("data"), temp_bytes=20 * 2**20) as chat:
        yield chat
    del os.environ["SECRET_OF_THE_SERVER"]


async def test_the_environment_of_the_server(chat: Chat) -> None:
    said = await chat.python(
        "import glob\n"
        "for path in glob.glob('/proc/*/environ'):\n"
        "    try: print(open(path, 'rb').read())\n"
        "    except OSError: pass"
    )
    assert "PATH=" in said
    assert "s3cret" not in said


async def test_the_processes_of_the_machine(chat: Chat) -> None:
    said = await chat.python(f"import os\nsorted(p for p in os.listdir('/proc') if p == '{os.getpid()}'), os.getppid()")
    assert said.startswith("([], ")


@pytest.mark.parametrize("private", ["database", "dotenv", "ssh", "workspace", "source"])
async def test_files_of_the_server_and_of_others(chat: Chat, private: str) -> None:
    data = chat.workspace.parents[1]
    path = {
        "database": data / "chat.sqlite3",
        "dotenv": data / ".env",
        "ssh": Path(tempfile.mkdtemp(dir=Path.home(), prefix=".ssh-test-")) / "id_ed25519",
        "workspace": Chat(data, "another").workspace / "diary.txt",
        "source": PROJECT / "utils" / "python_sandbox.py",
    }[private]
    if private != "source":
        path.write_text("private")
    path.chmod(0o644)
    try:
        assert path.read_text()
        assert (await chat.python(READ.format(path=str(path)))).startswith("refused")
    finally:
        if private == "ssh":
            path.unlink()
            path.parent.rmdir()


async def test_the_home_folder_holds_nothing_but_python(chat: Chat) -> None:
    code = f"import os\n[n for n in (os.listdir({str(Path.home())!r}) if os.path.isdir({str(Path.home())!r}) else [])]"
    shown = await chat.python(code)
    beneath = {
        prefix.relative_to(Path.home()).parts[0]
        for prefix in map(Path, (sys.prefix, sys.base_prefix))
        if prefix.is_relative_to(Path.home())
    }
    assert shown == str(sorted(beneath))


async def test_no_connection_to_the_machine_itself(chat: Chat) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        socket.create_connection(address, 2).close()
        assert "ConnectionRefusedError" in await chat.python(f"import socket\nsocket.create_connection({address}, 2)")


async def test_no_network_at_all(chat: Chat) -> None:
    assert await chat.python("import socket\nsocket.if_nameindex()") == "[(1, 'lo')]"
    assert "gaierror" in await chat.python("socket.getaddrinfo('example.com', 443)")


async def test_no_abstract_socket_of_the_machine(chat: Chat) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0pocketflow-test")
        server.listen()
        code = "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0pocketflow-test')"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0pocketflow-test")
        assert "ConnectionRefusedError" in await chat.python(code)


async def test_nothing_can_be_written_but_the_workspace_and_capped_temp(chat: Chat) -> None:
    code = (
        "import os, json\n"
        "def writable(folder):\n"
        "    try: os.close(os.open(folder + '/planted', os.O_CREAT | os.O_WRONLY)); os.remove(folder + '/planted')\n"
        "    except OSError: return False\n"
        "    return True\n"
        "mounts = {line.split()[4] for line in open('/proc/self/mountinfo')} - {'/proc'}\n"
        "folders = {folder for mount in mounts for folder, _, _ in os.walk(mount) if not folder.startswith('/proc')}\n"
        "print(json.dumps([folder for folder in folders if os.access(folder, os.W_OK) and writable(folder)]))"
    )
    writable = json.loads((await chat.python(code)).splitlines()[0])
    assert {folder for folder in writable if not folder.startswith("/tmp")} == {"/workspace", "/dev/shm"}
    assert {"/", "/usr", "/dev"}.isdisjoint(writable)


async def test_the_only_folder_shared_with_the_machine_holds_the_kernels_sockets(chat: Chat) -> None:
    code = (
        "mounts = [line.split() for line in open('/proc/self/mountinfo')]\n"
        "{m[4] for m in mounts if m[5].startswith('rw') and m[m.index('-') + 1] != 'tmpfs'}"
    )
    shared = ast.literal_eval(await chat.python(code)) - {"/proc", "/dev/pts"}
    devices = {mount for mount in shared if mount.startswith("/dev/")}
    rest = shared - devices - {"/workspace"}
    assert len(rest) == 1
    assert rest.pop().startswith(f"{tempfile.gettempdir()}/pf-kernel-")


async def test_python_itself_cannot_be_changed(chat: Chat) -> None:
    assert "Read-only file system" in await chat.python(f"open({str(Path(sys.prefix, 'lib', 'planted.py'))!r}, 'w')")


async def test_temporary_files_are_capped(chat: Chat) -> None:
    code = "with open({path!r}, 'wb') as file:\n    for _ in range(30): file.write(bytes(2**20))"
    for path in ("/tmp/big", "/dev/shm/big"):
        assert "No space left on device" in await chat.python(code.format(path=path))


async def test_the_machine_and_its_server_come_first(chat: Chat) -> None:
    assert await chat.python("import os\nos.nice(0), open('/proc/self/oom_score_adj').read()") == "(10, '1000\\n')"


async def test_no_privileges_and_no_way_to_get_some(chat: Chat) -> None:
    said = await chat.python("print(open('/proc/self/status').read())")
    status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert status["CapEff"] == status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1"
    assert not status["Uid"].startswith("0")
    assert await chat.python("import subprocess\nsubprocess.run(['unshare', '--user', 'true']).returncode") != "0"
