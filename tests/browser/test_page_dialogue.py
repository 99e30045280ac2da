"""A person at the page, in a real browser against the real server with its demo model."""

import re
from collections.abc import Callable
from signal import SIGKILL

from playwright.sync_api import Locator, Page, expect

from tests.conftest import ServerProcess

Open = Callable[..., Page]
Make = Callable[..., ServerProcess]
expect.set_options(timeout=20_000)


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def answers(page: Page) -> Locator:
    return page.locator(".assistant .answer")


def chips(page: Page) -> Locator:
    return page.get_by_role("list", name="Waiting messages").get_by_role("listitem")


def stopped(page: Page) -> None:
    """Stop what runs and wait until it has."""
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Response interrupted", exact=True)).to_be_visible()
    idle(page)


def idle(page: Page) -> None:
    expect(page.locator("#messages:not([data-busy])")).to_be_visible()


def answered(page: Page) -> None:
    expect(answers(page).last).not_to_be_empty()
    idle(page)


def test_a_message_typed_while_an_answer_streams_is_queued_and_answered(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Show me a table")
    expect(answers(page).first).not_to_be_empty()
    say(page, "And now a second thing")
    expect(chips(page)).to_have_text("And now a second thing")
    expect(answers(page)).to_have_count(2)
    expect(chips(page)).to_have_count(0)
    expect(page.locator(".bubble")).to_have_text(["Show me a table", "And now a second thing"])


def test_stop_keeps_what_was_said_and_the_talk_goes_on(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Write an essay")
    expect(answers(page).first).to_contain_text("essay")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Response interrupted", exact=True)).to_be_visible()
    expect(answers(page).first).to_contain_text("essay")
    say(page, "What time is it?")
    expect(page.locator(".tool[data-status=completed]")).to_contain_text("current_time")
    expect(answers(page).last).to_contain_text("tool answered")


def test_after_stop_the_waiting_messages_are_held_until_released(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Write an essay")
    expect(answers(page).first).not_to_be_empty()
    say(page, "hold me")
    expect(chips(page)).to_have_count(1)
    stopped(page)
    expect(page.locator(".chip.is-held")).to_have_text("hold me")
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".bubble").last).to_have_text("hold me")
    expect(answers(page)).to_have_count(2)


def test_a_waiting_message_can_be_edited_removed_and_sent_at_once(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Write an essay")
    expect(answers(page).first).not_to_be_empty()
    for text in ("first", "second", "third"):
        say(page, text)
    expect(chips(page)).to_have_count(3)
    chips(page).nth(0).get_by_role("button", name="Edit").click()
    page.get_by_label("Edit this waiting message").fill("first, edited")
    page.keyboard.press("Enter")
    expect(chips(page).nth(0)).to_have_text("first, edited")
    chips(page).nth(1).get_by_role("button", name="Remove").click()
    expect(chips(page)).to_have_text(["first, edited", "third"])
    chips(page).nth(1).get_by_role("button", name="Send now").click()
    expect(page.get_by_text("Response interrupted", exact=True)).to_be_visible()
    expect(page.locator(".bubble")).to_have_text(["Write an essay", "third", "first, edited"])


def test_what_one_tab_approves_another_sees_resolved(server: ServerProcess, open_page: Open) -> None:
    here = open_page(server.url)
    say(here, "Run some python")
    expect(here.locator(".approval textarea")).to_have_value(re.compile("print"))
    there = open_page(here.url, within=here)
    expect(there.locator(".approval")).to_be_visible()
    here.get_by_role("button", name="Approve").click()
    for page in (here, there):
        expect(page.locator(".approval")).to_have_count(0)
        expect(page.locator(".tool[data-status=completed]")).to_be_visible()
        expect(answers(page).last).to_contain_text("tool answered")


def test_edited_code_is_what_runs(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Run some python")
    page.locator(".approval textarea").fill("print('edited by', 'a person')")
    page.keyboard.press("Control+Enter")
    expect(answers(page).last).to_contain_text("edited by a person")
    page.reload()
    page.locator("#messages .tool summary").click()
    expect(page.get_by_role("region", name="code, as you changed it")).to_have_text("print('edited by', 'a person')")


def test_a_call_is_rejected_with_a_reason_that_the_model_reads(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Run some python")
    page.get_by_role("button", name="Reject…").click()
    page.get_by_label("Reason for rejecting").fill("not on a Friday")
    page.keyboard.press("Enter")
    expect(answers(page).last).to_contain_text("not on a Friday")
    expect(page.locator(".tool[data-status=rejected]")).to_contain_text("Rejected")


def test_stop_cancels_what_waits_for_approval(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Run some python")
    expect(page.locator(".approval")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tool[data-status=cancelled]")).to_contain_text("Cancelled")


def test_a_reload_in_mid_answer_misses_nothing(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Show me a table")
    expect(answers(page).first).not_to_be_empty()
    page.reload()
    idle(page)
    expect(answers(page)).to_contain_text("demo model's showcase")
    fresh = open_page(page.url, within=page)
    expect(answers(fresh)).to_have_text(answers(page).inner_text(), use_inner_text=True)


def test_the_page_carries_on_by_itself_when_the_server_is_killed(server_process: Make, open_page: Open) -> None:
    server = server_process().start()
    page = open_page(server.url)
    say(page, "Write an essay")
    expect(answers(page).first).to_contain_text("Consider an ordinary day")
    server.end(SIGKILL)
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    say(page, "written while nobody listened")
    server.start()
    expect(page.locator("#connection")).to_be_empty()
    expect(page.get_by_text("Response interrupted", exact=True)).to_be_visible()
    expect(page.locator(".bubble")).to_have_text(["Write an essay", "written while nobody listened"])
    expect(answers(page)).to_have_count(2)


def test_what_was_written_offline_is_sent_once_even_after_a_reload(server_process: Make, open_page: Open) -> None:
    server = server_process().start()
    page = open_page(server.url)
    say(page, "hello")
    answered(page)
    server.end(SIGKILL)
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    say(page, "once only")
    server.start()
    page.reload()
    expect(answers(page)).to_have_count(2)
    page.reload()
    expect(page.locator(".bubble")).to_have_text(["hello", "once only"])


def test_a_draft_belongs_to_its_topic_and_outlives_a_reload(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "hello")
    expect(answers(page)).to_have_count(1)
    page.get_by_label("Message", exact=True).fill("half a thought")
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a thought")
    page.get_by_role("button", name="New topic", exact=True).click()
    expect(page.get_by_label("Message", exact=True)).to_be_empty()
    page.go_back()
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a thought")


def test_a_message_is_edited_and_answered_anew(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "frist")
    answered(page)
    page.locator(".bubble").hover()
    page.get_by_role("button", name="Edit and answer anew").click()
    page.get_by_label("Edit your message").fill("first")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_text(["first"])
    expect(answers(page)).to_have_count(1)


def test_an_answer_is_given_again_and_a_message_deleted(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "hello")
    answered(page)
    before = page.locator(".assistant").get_attribute("data-id")
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator(f".assistant:not([data-id='{before}'])")).to_be_visible()
    idle(page)
    page.locator(".bubble").hover()
    page.get_by_role("button", name="Delete with its answer").click()
    expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()


def test_topics_are_named_found_renamed_and_deleted_with_a_way_back(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    say(page, "Xylophones and zithers")
    topics = page.get_by_role("navigation", name="Topics")
    expect(topics.get_by_text("Xylophones and zithers")).to_be_visible()
    answered(page)
    page.get_by_label("Search topics").fill("zithers")
    expect(topics.get_by_role("listitem")).to_have_count(1)
    topics.get_by_role("listitem").hover()
    topics.get_by_role("button", name="Rename").click()
    page.get_by_label("Topic title").fill("Old instruments")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Old instruments")).to_be_visible()
    topics.get_by_role("listitem").hover()
    topics.get_by_role("button", name="Delete").click()
    expect(topics.get_by_text("Old instruments")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".bubble")).to_have_text("Xylophones and zithers")


def test_a_topic_that_is_gone_is_replaced_gently(server: ServerProcess, open_page: Open) -> None:
    page = open_page(f"{server.url}#no-such-topic")
    expect(page.get_by_text("This topic is not here any more")).to_be_visible()
    say(page, "hello")
    expect(answers(page)).to_have_count(1)


def test_the_flow_lights_up_and_its_trace_outlives_a_reload(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    page.get_by_role("button", name="Activity and flow").click()
    page.get_by_role("tab", name="Flow").click()
    say(page, "Show me a table")
    expect(page.locator(".flow .working")).to_contain_text("StreamChat")
    expect(page.locator(".flow .working")).to_have_count(0)
    page.reload()
    page.locator(".run summary").first.click()
    expect(page.locator(".steps").first).to_contain_text("StreamChat")
    expect(page.locator(".flow .done").filter(has_text="StreamChat")).to_be_visible()


def test_a_file_is_sent_and_listed(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    page.locator("#picker").set_input_files({"name": "numbers.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    expect(page.get_by_text("numbers.csv is in the workspace")).to_be_visible()
    page.get_by_role("button", name="Activity and flow").click()
    expect(page.get_by_role("link", name="numbers.csv")).to_be_visible()


def test_an_agent_is_picked_for_the_topic(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    page.get_by_label("Agent", exact=True).select_option("writer")
    say(page, "hello")
    expect(page.locator(".assistant .who")).to_have_text("writer")
    page.reload()
    expect(page.get_by_label("Agent", exact=True)).to_have_value("writer")


def test_what_a_person_writes_is_text_and_nothing_else(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    attack = "<img src=x onerror=alert(1)> **not bold**"
    say(page, attack)
    expect(page.locator(".bubble")).to_have_text(attack)
    expect(page.locator("#messages img")).to_have_count(0)
