"""Tool calls written as text: parsed out of the stream, however it is cut."""

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from utils.llm.deltas import Delta, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from utils.text_tool_calls import TextToolCalls, with_text_tool_calls
from utils.text_tool_prompt import as_text, describe
from utils.toolkit import BadArguments, Tool

Calls = list[tuple[str, str]]


async def run(code: str, times: int = 1, note: str | None = None) -> str:
    """Run code."""
    return code


TOOLS = [Tool(run).schema]
CALL = (
    '<function_calls>\n<invoke name="run">\n<parameter name="code">print(1)</parameter>\n</invoke>\n</function_calls>'
)


def parsed(*pieces: str) -> tuple[str, Calls]:
    """The text that shows, and (name, arguments) of the calls."""
    parser = TextToolCalls(TOOLS)
    deltas = [delta for piece in pieces for delta in parser.take(piece)] + parser.end()
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            names.setdefault(delta.index, delta.name or "")
            arguments[delta.index] = arguments.get(delta.index, "") + delta.arguments
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    return text, [(names[index], arguments[index]) for index in names]


def code(value: str, **more: Any) -> Calls:
    return [("run", json.dumps({"code": value} | more, ensure_ascii=False))]


@pytest.mark.parametrize(
    ("document", "text", "calls"),
    [
        ("Just 1 < 2 and <b>bold</b>.", "Just 1 < 2 and <b>bold</b>.", []),
        (f"Let me see. {CALL}", "Let me see. ", code("print(1)")),
        (CALL.replace("\n", ""), "", code("print(1)")),
        (f"{CALL}\nThe result is 7.", "", code("print(1)")),
        (f"{CALL}{CALL}", "", code("print(1)") * 2),
        ('<invoke name="run"><code>\nif a < b:\n    "x"\n</code></invoke>', "", code('if a < b:\n    "x"')),
        (CALL.replace("print(1)", "</b> </parameter"), "", code("</b> </parameter")),
        (CALL.replace("print(1)", "\n\na\n\n"), "", code("\na\n")),
        (CALL.replace("</invoke>", '<parameter name="times">3</parameter></invoke>'), "", code("print(1)", times=3)),
        (CALL.replace("</invoke>", '<parameter name="note">3</parameter></invoke>'), "", code("print(1)", note="3")),
        ('<invoke name="other"></invoke>', "", [("other", "{}")]),
        ("</function_calls> <invoker> <function_call>", "</function_calls> <invoker> <function_call>", []),
    ],
)
def test_text_shows_and_calls_are_found(document: str, text: str, calls: Calls) -> None:
    assert parsed(document) == (text, calls)


@pytest.mark.parametrize(
    "document",
    [
        f"Write this:\n```xml\n{CALL}\n```\nand it runs.",
        f"~~~~\n```\n{CALL}\n~~~\n~~~~\n",
        f"> ```\n> {CALL}",
        f"```\nThe line ``` ends nothing.\n{CALL}\n```",
        "The tag `<function_calls>` begins, ``a ` <invoke name='x'>`` goes on.",
    ],
)
def test_code_that_talks_about_the_tags_is_left_alone(document: str) -> None:
    assert parsed(document) == (document, [])


@pytest.mark.parametrize("before", ["```\ncode\n```\n", "a `b` c ", "It`s on\n", "```x``` is code. ", "~~gone~~ "])
def test_code_that_has_ended_hides_no_call(before: str) -> None:
    assert parsed(before + CALL) == (before, code("print(1)"))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ('<invoke name="run">{"code": "x"}</invoke>', "there was text outside of a parameter"),
        ('<invoke name="run"><parameter name="code">x', "the call was not closed"),
        ('<invoke name="run"><parameter name="code">x</parameter></function_calls>', "the call was not closed"),
        ('<invoke name="run"><parameter name="code">x</parameter>', "the call was not closed"),
        ('<invoke name="run"><parameter name="times">many</parameter></invoke>', "Invalid JSON"),
        ('<invoke name="run"><parameter>x</parameter></invoke>', "unnamed"),
    ],
)
def test_a_malformed_call_fails_with_a_reason(document: str, problem: str) -> None:
    text, [(name, arguments)] = parsed(document)
    assert (text, name) == ("", "run")
    with pytest.raises(BadArguments, match=problem):
        Tool(run).check(arguments)


@pytest.mark.parametrize("document", ["<function_calls>run()</function_calls>", "<invoke><code>x</code></invoke>"])
def test_a_call_without_a_name_is_one_of_an_unknown_tool(document: str) -> None:
    assert [name for name, _ in parsed(document)[1]] == ["unnamed"]


@pytest.mark.parametrize("properties", [None, [], {"code": True}, {"code": {"anyOf": 1, "type": "string"}}])
def test_a_clients_odd_schema_does_no_harm(properties: Any) -> None:
    function = {"name": "run", "description": "", "parameters": {"properties": properties}}
    parser = TextToolCalls([{"type": "function", "function": function}])
    assert parser.take(CALL) == [ToolCallDelta(0, None, "run", '{"code": "print(1)"}')]


PIECES = st.sampled_from(
    [
        "<function_calls>", "</function_calls>", '<invoke name="run">', '<invoke name="other">', "<invoke", "</invoke>",
        '<parameter name="code">', '<parameter name="times">', "</parameter>", "<code>", "</code>", "<", ">", "</",
        "`", "```", "~~~", "\n", "\n\n", " ", "a", '"', "\\", "é", "😀", "word ", '{"a": 1}', "x" * 310,
    ]
)  # fmt: skip
DOCUMENTS = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)


@given(DOCUMENTS, st.data())
@example(CALL, None)
@example(f'<invoke name="{"x" * 400}">', None)
def test_how_the_text_is_cut_changes_nothing(document: str, data: st.DataObject | None) -> None:
    whole = parsed(document)
    assert parsed(*document) == whole
    if data and len(document) > 1:
        cuts = sorted(data.draw(st.sets(st.integers(1, len(document) - 1))))
        pieces = [document[start:end] for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True)]
        assert parsed(*pieces) == whole


@given(DOCUMENTS)
def test_what_shows_is_the_beginning_of_what_was_written(document: str) -> None:
    text, calls = parsed(document)
    assert document.startswith(text)
    assert calls or text == document


PROSE = st.text(st.characters(exclude_characters="<`~", exclude_categories=["Cs"]), max_size=40)
VALUES = st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), PROSE.filter(lambda v: v == v.strip("\n")))


@given(PROSE, st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_no_character_of_a_tag_shows_and_every_call_arrives(
    prose: str, values: list[dict[str, str]], data: st.DataObject
) -> None:
    calls = [
        {"id": str(n), "function": {"name": "any", "arguments": json.dumps(each)}} for n, each in enumerate(values)
    ]
    written = as_text([{"role": "assistant", "content": "", "tool_calls": calls}])[0]["content"]
    size = data.draw(st.integers(1, 9))
    document = prose + written
    text, found = parsed(*(document[start : start + size] for start in range(0, len(document), size)))
    assert text == prose
    assert [json.loads(arguments) for _, arguments in found] == values


@given(PROSE, st.sampled_from(["<function_calls>", '<invoke name="run">']))
def test_text_flows_at_once_and_half_a_tag_waits_only_while_it_may_be_one(prose: str, tag: str) -> None:
    for size in range(1, len(tag)):
        parser = TextToolCalls(TOOLS)
        shown = "".join(delta.text for delta in parser.take(prose + tag[:size]) if isinstance(delta, TextDelta))
        assert shown == prose
        shown += "".join(delta.text for delta in parser.take("\n") if isinstance(delta, TextDelta))
        if not tag[:size].startswith("<invoke "):
            assert shown == f"{prose}{tag[:size]}\n"


@pytest.mark.parametrize(
    "unit",
    ["<", "`", "~", "<invoke ", "a ", "\n", "`<", "<function_calls", "<parameter name=", CALL, "<invoke><code>"],
)
def test_time_grows_with_the_length_and_not_with_its_square(unit: str) -> None:
    for head in ("", "<function_calls>", '<invoke name="run"><code>'):
        for cut in (7, 1_000_000):
            short, long = (_seconds(head, unit, size, cut) for size in (20_000, 160_000))
            assert long < 8 * 5 * short + 0.1, (head, unit, cut)


def _seconds(head: str, unit: str, size: int, cut: int) -> float:
    document = head + unit * (size // len(unit))
    started = time.process_time()
    parsed(*(document[start : start + cut] for start in range(0, len(document), cut)))
    return time.process_time() - started


async def test_other_deltas_pass_and_the_finish_says_that_there_are_calls() -> None:
    async def answer() -> AsyncGenerator[Delta, None]:
        yield ReasoningDelta("<function_calls>")
        yield TextDelta("Let me run it. <func")
        yield TextDelta(CALL[5:])
        yield Finish("stop")

    deltas = [delta async for delta in with_text_tool_calls(answer(), TOOLS)]
    assert deltas[:2] == [ReasoningDelta("<function_calls>"), TextDelta("Let me run it. ")]
    assert deltas[2] == ToolCallDelta(0, None, "run", '{"code": "print(1)"}')
    assert deltas[-1] == Finish("tool_calls")


def test_arguments_flow_while_they_arrive() -> None:
    parser = TextToolCalls(TOOLS)
    assert parser.take(CALL[: CALL.index("(1)")]) == [ToolCallDelta(0, None, "run", '{"code": "print')]


async def test_closing_closes_the_models_answer() -> None:
    closed = []

    async def answer() -> AsyncGenerator[Delta, None]:
        try:
            while True:
                yield TextDelta("on and on ")
        finally:
            closed.append(True)

    deltas = with_text_tool_calls(answer(), TOOLS)
    await anext(deltas)
    await deltas.aclose()
    assert closed


def test_tools_are_described_and_without_any_nothing_is_said() -> None:
    assert describe([]) == ""
    described = describe(TOOLS)
    assert '<invoke name="the tool\'s name">' in described
    assert "- run: Run code." in described
    assert '"times": {"default": 1' in described


def test_the_prompt_has_only_turns_of_user_and_assistant() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"code": "1", "times": 2}'}}
    prompt = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "One"},
        {"role": "user", "content": "And now?"},
    ]
    asked = '<function_calls>\n<invoke name="run">\n<parameter name="code">1</parameter>\n<parameter name="times">2'
    assert as_text(prompt) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": f"{asked}</parameter>\n</invoke>\n</function_calls>"},
        {"role": "user", "content": '<function_result name="run">\nOne\n</function_result>\n\nAnd now?'},
    ]
