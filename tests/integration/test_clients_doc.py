"""docs/clients.md: every block does what it says, on a server with the demo model."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from agui_client import TESTS, needs_node
from chat_server import SECONDS, ChatServer
from playwright.async_api import Page, async_playwright

from utils import demo_model

DOCS = TESTS.parent / "docs"
MODULES = TESTS / "node_modules"
CHROMIUM = shutil.which("chromium")
"""The system's, where there is one; else Playwright's own."""
needs_tools = pytest.mark.skipif(
    not (MODULES / "esbuild").exists(), reason="esbuild is not here: `npm install --prefix tests`"
)


def block(language: str, server: ChatServer) -> str:
    """The one block of that language, for this server instead of localhost:8000."""
    found = re.findall(rf"^```{language}\n(.*?)^```", (DOCS / "clients.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0]).replace("localhost:8000", server.url.removeprefix("http://"))


async def output(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a program prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS * 2):
        printed, errors = await process.communicate()
    assert process.returncode == 0, (printed + errors).decode()
    return printed.decode()


async def bundle(folder: Path, source: Path) -> str:
    await output(
        MODULES / ".bin/esbuild",
        source,
        "--bundle",
        "--format=esm",
        "--platform=browser",
        "--jsx=automatic",
        f"--outfile={folder / 'bundle.mjs'}",
        cwd=folder,
        NODE_PATH=str(MODULES),
    )
    return (folder / "bundle.mjs").read_text()


@pytest.fixture(autouse=True)
def at_full_speed() -> Iterator[None]:
    """The curl block follows for five seconds, whatever the machine is busy with."""
    demo_model.set_speed(0)
    yield
    demo_model.set_speed(0.02)


@pytest.fixture
async def page(demo_server: ChatServer) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(args=["--no-sandbox"], executable_path=CHROMIUM)
        page = await (await browser.new_context(bypass_csp=True)).new_page()
        await page.goto(demo_server.url)
        yield page
        await browser.close()


async def test_the_browser_console(demo_server: ChatServer, page: Page) -> None:
    async with page.expect_event("console", lambda message: message.type == "log", timeout=SECONDS * 1000) as first:
        await page.evaluate(f"() => {{ {block('js', demo_server)} }}")
    assert (await first.value).text


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
async def test_curl(demo_server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    printed = await output("bash", "-euc", block("sh", demo_server), cwd=tmp_path)
    assert "event: RUN_FINISHED" in printed
    assert printed.endswith("a,b\n1,2\n")


async def test_python(demo_server: ChatServer, tmp_path: Path) -> None:
    assert await output(sys.executable, "-c", block("python", demo_server), cwd=tmp_path)


@needs_node
@needs_tools
async def test_typescript(demo_server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "client.ts").write_text(block("ts", demo_server))
    await bundle(tmp_path, tmp_path / "client.ts")
    assert await output("node", tmp_path / "bundle.mjs", cwd=tmp_path)


@needs_node
@needs_tools
async def test_the_types_are_right(demo_server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "client.ts").write_text(block("ts", demo_server))
    (tmp_path / "activity.tsx").write_text(block("tsx", demo_server))
    (tmp_path / "useAgentEvents.ts").write_text((DOCS / "examples/useAgentEvents.ts").read_text())
    (tmp_path / "node_modules").symlink_to(MODULES)
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "jsx": "react-jsx",
        "lib": ["es2023", "dom"],
        "skipLibCheck": True,
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.ts", "*.tsx"]}))
    await output(MODULES / ".bin/tsc", "--project", tmp_path, cwd=tmp_path)


PROBE = """
import { createRoot } from "react-dom/client";
import { Activity } from "./activity";

createRoot(document.body.appendChild(document.createElement("div"))).render(<Activity id="followed" />);
"""


@needs_node
@needs_tools
async def test_the_react_hook_follows_a_conversation(demo_server: ChatServer, page: Page, tmp_path: Path) -> None:
    (tmp_path / "probe.tsx").write_text(PROBE)
    (tmp_path / "activity.tsx").write_text(block("tsx", demo_server))
    (tmp_path / "useAgentEvents.ts").write_text((DOCS / "examples/useAgentEvents.ts").read_text())
    await page.request.post(f"{demo_server.url}/api/conversations", data={"id": "followed"})
    await page.add_script_tag(content=await bundle(tmp_path, tmp_path / "probe.tsx"), type="module")
    await page.get_by_text("idle: 2 events").wait_for()
    async with demo_server.client("followed") as tab:
        await tab.ask("Hello")
        await tab.until_idle()
        await page.get_by_text(re.compile(r"idle: \d\d+ events")).wait_for()
    await demo_server.runner.close()
    await page.get_by_text("offline").wait_for()
