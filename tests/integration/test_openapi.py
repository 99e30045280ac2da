"""The OpenAPI document against the server: nothing undocumented, nothing documented that does not happen."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
from chat_server import SECONDS, running_server
from mock_provider import MockProvider
from server_process import ServerProcess

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ONE, NONE, BAD = "/api/conversations/one", "/api/conversations/none", "/api/conversations/a%20b"
BROKEN: dict[str, Any] = {"content": "{", "headers": {"Content-Type": "application/json"}}
HUGE: dict[str, Any] = {"json": {"title": "x" * 80_000}}
FILE: dict[str, Any] = {"files": {"file": ("a.txt", b"Hello")}}
NO_FORM: dict[str, Any] = {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}
LIST, COMMANDS, FILES = "/api/conversations", f"{ONE}/commands", f"{ONE}/files"
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/healthz", {}),
    ("GET", "/metrics", {}),
    ("GET", "/api/agents", {}),
    ("GET", "/api/flow", {}),
    ("POST", LIST, {"json": {"id": "one"}}),
    ("POST", LIST, {"json": {"id": "one"}}),
    ("POST", LIST, {"json": {"id": "../one"}}),
    ("POST", LIST, BROKEN),
    ("POST", LIST, HUGE),
    ("GET", LIST, {}),
    ("GET", LIST, {"params": {"limit": 0}}),
    *(("GET", path + rest, {}) for path in (ONE, NONE, BAD) for rest in ("", "/runs")),
    *(("PATCH", path, {"json": {"title": "New"}}) for path in (ONE, NONE, BAD)),
    ("PATCH", ONE, BROKEN),
    ("PATCH", ONE, HUGE),
    *(("POST", f"{path}/files", FILE) for path in (ONE, NONE, BAD)),
    ("POST", FILES, {"files": {"file": ("b.txt", b"x" * 2000)}}),
    ("POST", FILES, NO_FORM),
    *(("GET", f"{path}/files/a.txt", {}) for path in (ONE, NONE, BAD)),
    *(
        ("POST", f"{path}/commands", {"json": {"type": "user_message", "content": "Hi", "id": "m"}})
        for path in (ONE, NONE)
    ),
    ("POST", COMMANDS, {"json": {"type": "queue_remove", "id": "m"}}),
    ("POST", COMMANDS, {"json": {"type": "queue_clear"}}),
    ("POST", COMMANDS, {"json": {"type": "queue_clear"}}),
    ("POST", COMMANDS, {"json": {"type": "nonsense"}}),
    ("POST", COMMANDS, {"json": {"type": "user_message", "content": "x" * 70_000}}),
    ("POST", COMMANDS, BROKEN),
    *(("DELETE", path, {}) for path in (ONE, NONE, BAD)),
]


async def test_schemathesis_finds_nothing(server_process: Callable[..., ServerProcess]) -> None:
    process = await asyncio.to_thread(lambda: server_process(SANDBOX="off").start())
    tester = Path(sys.executable).with_name("schemathesis")
    options = ["--checks", CHECKS, "--max-examples", "20", "--seed", "1", "--no-color"]
    testing = await asyncio.create_subprocess_exec(
        tester, "run", f"{process.url}/openapi.json", *options, stdout=asyncio.subprocess.PIPE, cwd=process.data_dir
    )
    output, _ = await testing.communicate()
    assert testing.returncode == 0, output.decode()


async def test_every_documented_status_happens_and_no_other(tmp_path: Path, provider: MockProvider) -> None:
    settings = {"max_upload_bytes": 1000, "commands_per_minute": 3}
    async with (
        running_server(tmp_path, openai_base_url=provider.url, **settings) as server,
        httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as client,
        server.client() as page,
    ):
        document = (await client.get("/openapi.json")).json()
        seen = set()
        for method, path, more in REQUESTS:
            answer = await client.request(method, path, **more)
            seen.add((method, template(path), str(answer.status_code)))
        assert page.state["status"] == "idle"
    documented = {
        (method.upper(), path, status)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status in operation["responses"]
        if status != "503"  # what faults do is tested with them
    }
    assert seen == documented


def template(path: str) -> str:
    """A request's path as the document has it."""
    for conversation in (ONE, NONE, BAD):
        path = path.replace(conversation, "/api/conversations/{conversation_id}")
    return path.replace("a.txt", "{name}")
