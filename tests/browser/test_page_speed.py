"""The page under load. What is asserted holds on a busy machine too; what was measured is printed (pytest -s)."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from browser.provider_thread import ProviderThread
from mock_provider import Reply
from playwright.sync_api import Page, expect

from tests.conftest import ServerProcess
from utils.server import catalog
from utils.server.rows import put_message

Open = Callable[..., Page]
expect.set_options(timeout=20_000)
SHOWCASE = (Path(__file__).parent / "markdown" / "showcase.md").read_text()
DELTA, PER_SECOND, ANSWER = 10, 2000, 200_000
BUSY_FRAME = 1000
"""Milliseconds: under 50 on a machine that does nothing else. What a frame costs is held by its processor time."""
WATCH_FRAMES = """() => {
  window.frames = [];
  let last = performance.now();
  const frame = (now) => { frames.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""

WATCH_TASKS = """() => {
  window.tasks = [];
  const note = (list) => window.tasks.push(...list.getEntries().map(({duration}) => duration));
  new PerformanceObserver(note).observe({entryTypes: ["longtask"]});
}"""
BUSY_TASK = 1000
"""Milliseconds: 60 on a quiet machine, and the target is 200; a busy one must not fail for its neighbours."""


def percentile(durations: list[float]) -> float:
    """The 95th, of sorted values."""
    return durations[int(len(durations) * 0.95)]


def processor(page: Page) -> Callable[[], float]:
    """Seconds of processor time that the page's main thread has taken since, whatever else the machine does."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    return seconds


async def flood(request: dict[str, Any], reply: Reply) -> None:
    """200 kB of markdown in small deltas, 2,000 of them a second."""
    text = (SHOWCASE * (ANSWER // len(SHOWCASE) + 1))[:ANSWER]
    started = time.monotonic()
    for number, start in enumerate(range(0, len(text), DELTA)):
        await reply.text(text[start : start + DELTA])
        if (early := started + number / PER_SECOND - time.monotonic()) > 0.005:
            await asyncio.sleep(early)
    await reply.finish()


@pytest.fixture
def flooded(tmp_path: Path) -> Iterator[ServerProcess]:
    with ProviderThread(flood) as provider:
        server = ServerProcess(tmp_path, OPENAI_BASE_URL=provider.url).start()
        yield server
        server.end()


def test_two_thousand_deltas_a_second_do_not_stutter(flooded: ServerProcess, open_page: Open) -> None:
    page = open_page(flooded.url)
    page.get_by_label("Message", exact=True).fill("Go")
    page.keyboard.press("Enter")
    expect(page.locator(".assistant .answer")).not_to_be_empty()
    page.evaluate(WATCH_FRAMES)
    page.evaluate(WATCH_TASKS)
    seconds = processor(page)
    expect(page.locator("#messages:not([data-busy])")).to_be_visible(timeout=120_000)
    frames, work = sorted(page.evaluate("frames")), seconds()
    a_frame, task = work / len(frames) * 1000, max(page.evaluate("tasks"), default=0)
    print(f"frames p95 {percentile(frames):.0f} ms, {a_frame:.1f} ms of work each; longest task {task:.0f} ms")
    assert task < BUSY_TASK
    assert a_frame < 60
    assert percentile(frames) < BUSY_FRAME
    assert page.evaluate("performance.memory.usedJSHeapSize") < 100_000_000
    shown = page.evaluate("document.querySelector('.assistant .answer').textContent.length")
    assert shown > ANSWER * 0.8


@pytest.fixture
def long_talk(tmp_path: Path) -> Iterator[str]:
    """The address of a conversation with 1,000 messages."""
    server = ServerProcess(tmp_path).start()
    server.end()
    with closing(sqlite3.connect(tmp_path / "chat.sqlite3")) as database, database:
        database.row_factory = sqlite3.Row
        catalog.create(database, "long", "A long talk", "assistant")
        for number in range(500):
            answer = SHOWCASE[: 200 + number * 37 % 1500]
            put_message(database, "long", {"id": f"q{number}", "role": "user", "content": f"Question {number}"})
            put_message(
                database, "long", {"id": f"a{number}", "role": "assistant", "name": "assistant", "content": answer}
            )
    server.start()
    yield f"{server.url}/#long"
    server.end()


def test_a_thousand_messages_open_and_scroll_without_a_hitch(long_talk: str, open_page: Open) -> None:
    open_page(long_talk).close()  # the server's first read of the file is not the page's
    page = open_page(long_talk)
    expect(page.get_by_text("Question 499", exact=True)).to_be_in_viewport()
    assert page.locator(".message").count() == 1000
    opened = page.evaluate("performance.now()")
    assert opened < 5000
    page.evaluate(WATCH_FRAMES)
    page.get_by_role("region", name="Conversation").focus()
    for _ in range(40):
        page.keyboard.press("PageUp")
    frames = sorted(page.evaluate("frames"))
    print(f"opened in {opened:.0f} ms; scrolling p95 {percentile(frames):.0f} ms")
    assert percentile(frames) < BUSY_FRAME
    page.keyboard.press("Home")
    expect(page.get_by_text("Question 0", exact=True)).to_be_in_viewport()


def test_the_first_load_is_light_and_soon_usable(server: ServerProcess, open_page: Open) -> None:
    open_page(server.url).close()
    page = open_page(server.url)
    expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()
    page.wait_for_load_state("load")
    entries = page.evaluate("""performance.getEntries().filter((entry) => "transferSize" in entry)
      .map(({ name, transferSize, decodedBodySize }) => [name, transferSize, decodedBodySize])""")
    assert sum(size for _, size, _ in entries) < 60_000, entries
    assert page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 1000


def test_every_module_of_the_first_load_is_announced_to_the_browser(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    modules = {url.rsplit("/", 1)[1] for url in loaded if url.endswith(".js")}
    announced = page.locator("link[rel=modulepreload], script[src]").evaluate_all(
        "(links) => links.map((link) => (link.href || link.src).split('/').pop())"
    )
    assert modules == set(announced)
