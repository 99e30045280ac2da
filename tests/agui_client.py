"""AG-UI's own client, @ag-ui/client on Node: what it makes of the server."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from chat_server import SECONDS, ChatServer

TESTS = Path(__file__).parent
needs_node = pytest.mark.skipif(
    not shutil.which("node") or not (TESTS / "node_modules/@ag-ui/client").exists(),
    reason="Node and @ag-ui/client are not here: install Node 20, then `npm install --prefix tests`",
)


async def node(script: str, argument: Any) -> Any:
    """What a script of tests/agui prints as JSON."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(TESTS / "agui" / script),
        orjson.dumps(argument).decode(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS * 2):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()
    return orjson.loads(output)


class Told:
    """What the client had after its runs."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.runs, self.messages, self.warnings = told["runs"], told["messages"], told["warnings"]

    def types(self, run: int = 0) -> list[str]:
        return [event["type"] for event in self.runs[run]["events"]]

    def find(self, kind: str, run: int = 0) -> list[dict[str, Any]]:
        return [event for event in self.runs[run]["events"] if event["type"] == kind]

    def outcome(self, run: int = 0) -> Any:
        return self.find("RUN_FINISHED", run)[0]["outcome"]

    @property
    def text(self) -> str:
        """The last message's."""
        return str(self.messages[-1]["content"])


async def agui_runs(server: ChatServer, *runs: dict[str, Any], thread: str = "thread-1", **more: Any) -> Told:
    """One client that does these runs one after the other; it may complain about nothing."""
    told = Told(await node("runs.mjs", {"url": f"{server.url}/agui", "threadId": thread, "runs": runs} | more))
    assert told.warnings == []
    for run in told.runs:
        kinds = [event["type"] for event in run["events"]]
        assert kinds[:1] in ([], ["RUN_STARTED"])
        assert sum(kind in ("RUN_STARTED", "RUN_FINISHED", "RUN_ERROR") for kind in kinds) in (0, 2)
    return told
