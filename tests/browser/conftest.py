"""Chromium for the tests of the page, driven through Playwright's synchronous API."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Playwright, sync_playwright

from tests.conftest import ServerProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: while Playwright runs, its event loop keeps pytest-asyncio from starting one."""
    items.sort(key=lambda item: item.path.is_relative_to(Path(__file__).parent))


def _launch(playwright: Playwright) -> Browser:
    """Playwright's own Chromium, else the system's; without a sandbox only for root, who cannot have one."""
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    try:
        return playwright.chromium.launch(args=args)
    except Error:
        names = ("/usr/bin/chromium", "chromium", "google-chrome")
        system = next(filter(None, map(shutil.which, names)), None)
        if system is None:
            raise
        return playwright.chromium.launch(args=args, executable_path=system)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium; make a context or page of your own and close it."""
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the demo model, for tests that do not stop it."""
    server = ServerProcess(tmp_path_factory.mktemp("server")).start()
    yield server
    server.end()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """open_page(url, **context options): a page in a profile of its own; `within` another page's, in that one's.

    A test fails when the console holds an error or a warning, except what the browser itself says about lost servers.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not LOST_SERVER.search(f"{message.text} {message.location}"):
            complaints.append(f"{message.text} ({message.location['url']})")

    def open_(url: str, within: Page | None = None, **options: Any) -> Page:
        context = within.context if within else browser.new_context(**{"viewport": WIDE, **options})
        if not within:
            contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(f"{error}\n{error.stack}"))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


WIDE = {"width": 1440, "height": 900}
LOST_SERVER = re.compile(r"net::ERR_(CONNECTION|INCOMPLETE|INTERNET)|code: 404|status of 404 .*/api/conversations/")


STATIC = Path(__file__).parents[2] / "static"


@pytest.fixture(scope="session")
def modules(browser: Browser) -> Iterator[Page]:
    """An empty page without a server, from which the modules in static/ can be imported."""
    page = browser.new_page()
    page.route("http://page.test/static/*", lambda route: route.fulfill(path=STATIC / route.request.url.split("/")[-1]))
    page.route(
        "http://page.test/", lambda route: route.fulfill(body="<title>Modules</title>", content_type="text/html")
    )
    page.goto("http://page.test/")
    yield page
    page.close()
