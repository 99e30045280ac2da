"""How the page looks in every state: a picture of each, and axe-core's judgement of it in both themes.

The pictures are in tests/screenshots, for somebody to look at.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.provider_thread import ProviderThread
from mock_provider import Reply
from playwright.sync_api import Page, expect

from tests.conftest import ServerProcess

TESTS = Path(__file__).parents[1]
SCREENSHOTS = TESTS / "screenshots"
AXE = TESTS / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 360, "height": 740}
Open = Callable[..., Page]
expect.set_options(timeout=20_000)


async def no_key(request: dict[str, Any], reply: Reply) -> None:
    await reply.error(401, "Incorrect API key provided: sk-wrong.")


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose provider refuses its key."""
    with ProviderThread(no_key) as provider:
        settings = {"OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "sk-wrong"}
        server = ServerProcess(tmp_path_factory.mktemp("refused"), **settings).start()
        yield server
        server.end()


def empty(page: Page) -> None:
    expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()
    expect(page.locator("#fine-print")).not_to_be_empty()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def answered(page: Page, turns: int = 1) -> None:
    expect(page.locator(".user")).to_have_count(turns)
    expect(page.locator(".user").last.locator("~ .assistant .answer").first).not_to_be_empty()
    expect(page.locator("#messages:not([data-busy])")).to_be_visible()


def talk(page: Page) -> None:
    say(page, "Show me a table")
    answered(page)
    say(page, "Think about it, please")
    answered(page, turns=2)


def queue(page: Page) -> None:
    say(page, "Write an essay")
    expect(page.locator(".assistant .answer")).to_contain_text("beginnings")
    say(page, "And what does it all mean?")
    expect(page.locator(".chip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Release")).to_be_visible()


def approval(page: Page) -> None:
    say(page, "Run some python")
    expect(page.locator(".approval textarea")).to_be_visible()


def chart(page: Page) -> None:
    page.get_by_role("button", name="Activity and flow").click()
    say(page, "Draw a chart")
    page.get_by_role("button", name="Approve").click()
    answered(page)
    for picture in page.locator(".tool-images img").all():
        expect(picture).to_have_js_property("complete", True)
    page.locator("#activity .tool summary").click()


def flow(page: Page) -> None:
    page.get_by_role("button", name="Activity and flow").click()
    page.get_by_role("tab", name="Flow").click()
    say(page, "What time is it?")
    answered(page)
    page.locator(".run summary").first.click()
    expect(page.locator(".flow .taken").first).to_be_visible()


def narrow(page: Page) -> None:
    page.set_viewport_size(PHONE)
    talk(page)


def topics_on_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Topics").click()
    expect(page.get_by_role("button", name="New topic", exact=True)).to_be_visible()


def error(page: Page) -> None:
    say(page, "hello")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


STATES = [empty, talk, queue, approval, chart, flow, narrow, topics_on_a_phone]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_looks(server: ServerProcess, open_page: Open, state: Callable[[Page], None], theme: str) -> None:
    page = open_page(server.url, color_scheme=theme, reduced_motion="reduce")
    state(page)
    judge(page, f"{state.__name__}-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_looks_when_something_went_wrong(refused: ServerProcess, open_page: Open, theme: str) -> None:
    page = open_page(refused.url, color_scheme=theme, reduced_motion="reduce")
    error(page)
    judge(page, f"error-{theme}")


def judge(page: Page, name: str) -> None:
    """Take the picture, then ask axe-core. Nothing may be wider than the page."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.mouse.move(0, 0)
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished))")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(AXE.read_text())
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations] == []


def test_the_chosen_theme_wins_over_the_system_and_is_kept(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url, color_scheme="light")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    expect(page.locator("body")).to_have_css("color", "rgb(230, 232, 229)")


@pytest.mark.parametrize("width", [320, 3840])
def test_it_fits_every_width(server: ServerProcess, open_page: Open, width: int) -> None:
    page = open_page(server.url, viewport={"width": width, "height": 800})
    say(page, "Show me a table")
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
