"""The recipes of docs/extending.md, each applied to a copy of the project that is then started."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from chat_server import Client
from mock_provider import MockProvider, Reply, hello
from server_process import ROOT, ServerProcess

BLOCK = re.compile(r"(In|At the end of|A new file) `([\w./]+)`:\n\n```(?:python|diff)\n(.*?)\n```\n", re.DOTALL)
PROJECT = ("main.py", "flow.py", "nodes.py", "utils", "static", "pyproject.toml")
Start = Callable[[str], ServerProcess]


@pytest.fixture
def start(tmp_path: Path, provider: MockProvider, server_process: Callable[..., ServerProcess]) -> Start:
    """Starts a copy of the project with the recipe under this heading."""

    def start(heading: str) -> ServerProcess:
        copy = tmp_path / "project"
        shutil.copytree(ROOT, copy, ignore=lambda folder, names: _left_out(Path(folder), names))
        _apply(heading, copy)
        subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", copy], check=True)
        made = server_process(tmp_path / "data", root=copy, OPENAI_BASE_URL=provider.url, OPENAI_MODEL="mock")
        return made.start()

    return start


def _left_out(folder: Path, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or (folder == ROOT and name not in PROJECT)]


def _apply(heading: str, project: Path) -> None:
    recipe = (ROOT / "docs" / "extending.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = BLOCK.findall(recipe)
    assert len(blocks) == recipe.count("```") // 2
    for place, name, block in blocks:
        path = project / name
        if place == "In":
            path.write_text(_patched(path.read_text(), block))
        else:
            path.write_text((path.read_text() + "\n\n" if place == "At the end of" else "") + block + "\n")


def _patched(text: str, diff: str) -> str:
    for hunk in diff.split("\n@@\n"):
        lines = [(line[:1], line[1:]) for line in hunk.split("\n")]
        old = "\n".join(line for mark, line in lines if mark != "+")
        new = "\n".join(line for mark, line in lines if mark != "-")
        assert text.count(old) == 1, f"not there, or not only once: {old}"
        text = text.replace(old, new)
    return text


async def get(process: ServerProcess, path: str) -> Any:
    async with aiohttp.ClientSession(process.url) as http, http.get(path) as response:
        return await response.json()


async def test_a_node_with_a_branch(start: Start, provider: MockProvider) -> None:
    process = start("A node with a branch")
    flow = await get(process, "/api/flow")
    assert "AnswerPing" in flow["nodes"]
    branches = {(edge["action"], edge["to"]) for edge in flow["edges"] if edge["from"] == "AnswerPing"}
    assert branches >= {("question", "ChooseAgent"), ("answered", "FinishTurn"), ("failed", "FinishTurn")}
    async with Client.attach(process.ws_url) as tab:
        assert await tab.ask("ping") == "pong"
        assert provider.requests == []
        assert [event["stepName"] for event in tab.find(type="STEP_STARTED")] == ["CheckSafety", "AnswerPing"]
        assert await tab.ask("And now?") == "Hello from the mock provider."
        assert tab.mirror.problems == []


async def test_a_tool(start: Start, provider: MockProvider) -> None:
    async def rolling(request: dict[str, Any], reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool":
            return await hello(request, reply)
        await reply.tool_call("roll_dice", {"sides": 1})
        await reply.finish("tool_calls")

    provider.script = rolling
    process = start("A tool")
    async with Client.attach(process.ws_url) as tab:
        assert await tab.ask("Roll!") == "Hello from the mock provider."
        assert tab.find(type="TOOL_CALL_RESULT")[0]["content"] == "A 1 of 1."
    offered = {tool["function"]["name"]: tool["function"] for tool in provider.requests[0]["tools"]}
    assert offered["roll_dice"]["description"] == "Roll a fair die with that many sides."


async def test_an_agent(start: Start, provider: MockProvider) -> None:
    async def refusing(request: dict[str, Any], reply: Reply) -> None:
        await reply.text('{"safe": false, "reason": "That is not food."}')
        await reply.finish()

    provider.script = refusing
    process = start("An agent")
    agents = {agent["name"]: agent for agent in await get(process, "/api/agents")}
    assert agents["chef"]["model"] == "mock"
    assert agents["local"]["model"] == "llama3.2"
    async with aiohttp.ClientSession(process.url) as http:
        (await http.post("/api/conversations", json={"id": "kitchen", "agent": "chef"})).release()
    async with Client.attach(process.ws_url, "kitchen") as tab:
        assert await tab.ask("Fix my car") == "I can't help with that. That is not food."
        assert tab.messages[-1]["name"] == "chef"


async def test_a_subscriber(start: Start) -> None:
    process = start("A subscriber")
    async with Client.attach(process.ws_url) as tab:
        run_id = (await tab.say("Private question"))["runId"]
        await tab.until(lambda c: c.ended(run_id))
        runs = await get(process, f"/api/conversations/{tab.conversation_id}/runs")
    process.end()
    spans = [json.loads(line.partition("span ")[2]) for line in process.errors.splitlines() if " span {" in line]
    assert [span["name"] for span in spans] == ["CheckSafety", "ChooseAgent", "StreamChat"]
    assert {span["trace"] for span in spans} == {run_id}
    assert all(0 <= span["end"] - span["start"] <= (runs[0]["durationMs"] + 1) * 1e6 for span in spans)
    assert "Traceback" not in process.errors
    assert "Private" not in process.errors
