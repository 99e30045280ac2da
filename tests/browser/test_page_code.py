"""Code at the page, from a file to its chart; and the flow that led there, as it is drawn."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.conftest import ServerProcess

Open = Callable[..., Page]
expect.set_options(timeout=30_000)
SALES = b"month,sales\nJan,3\nFeb,5\nMar,9\n"


CODE = """import pandas as pd
import matplotlib.pyplot as plt
sales = pd.read_csv("sales.csv")
sales.plot.bar(x="month", y="sales")
plt.show()
print("total", sales["sales"].sum())"""


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def read(page: Page, path: str) -> object:
    return page.evaluate("path => fetch(path).then(response => response.json())", path)


def conversation_path(page: Page) -> str:
    return f"/api/conversations/{page.url.split('#')[1]}"


def test_an_uploaded_file_becomes_a_chart_by_the_code_as_the_person_changed_it(
    server: ServerProcess, open_page: Open
) -> None:
    page = open_page(server.url)
    page.locator("#picker").set_input_files({"name": "sales.csv", "mimeType": "text/csv", "buffer": SALES})
    expect(page.get_by_text("sales.csv is in the workspace")).to_be_visible()
    say(page, "Draw a chart of sales.csv")
    editor = page.locator(".approval textarea")
    expect(editor).to_have_value(re.compile("sales.csv"))
    editor.fill(CODE)
    page.get_by_role("button", name="Approve").click()
    chart = page.locator("#messages img").first
    expect(chart).to_be_visible()
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth > 100)")
    told = json.dumps(read(page, conversation_path(page))["messages"])
    assert "total 17" in told
    assert "The person changed the arguments before approving" in told


LIT = """() => {
  window.lit = [];
  const note = () => {
    const name = document.querySelector('.flow .working')?.textContent;
    if (name && name !== window.lit.at(-1)) window.lit.push(name);
  };
  const everything = {subtree: true, attributes: true, childList: true};
  new MutationObserver(note).observe(document.querySelector('.flow'), everything);
}"""


def test_the_nodes_light_up_in_the_order_of_the_trace(server: ServerProcess, open_page: Open) -> None:
    page = open_page(server.url)
    page.get_by_label("Agent", exact=True).select_option("auto")
    page.get_by_role("button", name="Activity and flow").click()
    page.get_by_role("tab", name="Flow").click()
    expect(page.locator(".flow")).to_be_visible()
    page.evaluate(LIT)
    say(page, "What time is it?")
    expect(page.locator(".tool[data-status=completed]")).to_be_visible()
    expect(page.locator("#messages:not([data-busy])")).to_be_visible()
    expect(page.locator(".assistant .who").first).to_have_text("assistant")
    (run,) = read(page, f"{conversation_path(page)}/runs")
    trace = [step["node"] for step in run["steps"]]
    lit = [re.match(r"[A-Za-z]+", name)[0] for name in page.evaluate("window.lit")]
    assert trace[:3] == ["CheckSafety", "ChooseAgent", "StreamChat"]
    assert "StreamChat" in lit  # a step that is over within a frame is marked as done without having been lit
    done = [re.match(r"[A-Za-z]+", name)[0] for name in page.locator(".flow .done").all_text_contents()]
    assert set(done) == set(trace)
    remaining = iter(trace)
    assert all(name in remaining for name in lit), f"{lit} is not in the order of {trace}"
