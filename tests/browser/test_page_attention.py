"""What the page tells someone who is not looking, who only listens, or whose words were refused."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.conftest import ServerProcess

Open = Callable[..., Page]
expect.set_options(timeout=20_000)
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_title_and_icon_tell_of_an_answer_in_the_background(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "hello")
    expect(page.locator(".assistant")).to_have_count(1)
    page.evaluate(HIDE, True)
    expect(page).to_have_title("● hello · Chat")
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", "/static/favicon-done.svg")
    page.evaluate(HIDE, False)
    expect(page).to_have_title("hello · Chat")


def test_the_end_of_an_answer_is_announced_and_not_its_words(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    page.evaluate("""() => {
      window.said = [];
      const region = document.getElementById("announcer");
      const heard = () => region.textContent && said.push(region.textContent);
      new MutationObserver(heard).observe(region, { childList: true });
    }""")
    say(page, "hello")
    expect(page.locator("#announcer")).to_have_text("Answer complete.")
    assert page.evaluate("said") == ["Answer complete."]
    assert page.locator("[aria-live], [role=log], [role=status], [role=alert]").locator(".answer").count() == 0


def test_a_server_of_another_version_makes_the_page_ask_for_a_reload(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    expect(page.locator("#fine-print")).not_to_be_empty()
    page.route("**/healthz", lambda route: route.fulfill(json=route.fetch().json() | {"version": "another"}))
    page.context.set_offline(True)
    page.context.set_offline(False)
    expect(page.get_by_text("This page is out of date")).to_be_visible()


def test_offline_is_said_and_passes(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    page.context.set_offline(True)
    expect(page.get_by_text("Offline. What you write is kept.")).to_be_visible()
    say(page, "from a tunnel")
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_be_empty()
    expect(page.locator(".assistant .answer")).to_contain_text("from a tunnel")


def test_words_that_were_refused_come_back(server_process: Callable[..., ServerProcess], open_page: Open) -> None:
    server = server_process(MAX_QUEUE="1").start()
    page = open_page(server.url)
    say(page, "Write an essay")
    expect(page.locator(".assistant .answer")).not_to_be_empty()
    say(page, "one waits")
    expect(page.locator(".chip")).to_have_count(1)
    say(page, "two is too many")
    expect(page.locator(".toast")).to_contain_text("Your text is back")
    expect(page.get_by_label("Message", exact=True)).to_have_value("two is too many")


def test_a_reader_who_scrolled_away_is_left_in_peace(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url, viewport={"width": 800, "height": 500})
    say(page, "Write an essay")
    expect(page.locator(".answer h2").nth(1)).to_be_in_viewport()
    page.get_by_role("region", name="Conversation").hover()
    page.mouse.wheel(0, -2000)
    button = page.get_by_role("button", name="New text below")
    expect(button).to_be_visible()
    top = page.evaluate("document.getElementById('scroller').scrollTop")
    expect(page.locator(".answer h2").nth(2)).to_be_attached()
    assert page.evaluate("document.getElementById('scroller').scrollTop") == top
    button.click()
    expect(button).to_be_hidden()
    expect(page.locator(".answer h2").nth(3)).to_be_in_viewport()


def test_right_to_left_text_is_set_from_the_right(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "שלום עולם")
    expect(page.locator(".bubble")).to_have_css("direction", "rtl")
    page.get_by_label("Message", exact=True).fill("مرحبا")
    expect(page.get_by_label("Message", exact=True)).to_have_css("direction", "rtl")
