"""Reasoning between <think> tags in the content."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.llm.chat_stream import ChatStream
from utils.stream_llm import ReasoningDelta, TextDelta


def streamed(*contents: str) -> tuple[str, str]:
    """Reasoning and text of an answer whose content comes in these pieces."""
    stream = ChatStream()
    lines = b"".join(
        b"data: " + json.dumps({"choices": [{"delta": {"content": content}}]}).encode() + b"\n" for content in contents
    )
    deltas = [*stream.feed(lines), *stream.end()]
    reasoning = "".join(item.text for item in deltas if isinstance(item, ReasoningDelta))
    return reasoning, "".join(item.text for item in deltas if isinstance(item, TextDelta))


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (["<think>Hm.</think>Yes"], ("Hm.", "Yes")),
        (["<thi", "nk>Hm.</th", "ink>\n\n", "Yes"], ("Hm.", "Yes")),
        (["\n", "<think>", "a </b> < c", "</think>", "Yes"], ("a </b> < c", "Yes")),
        (["<think>Hm.", " And so on"], ("Hm. And so on", "")),
        (["<think></think>Yes"], ("", "Yes")),
        (["<think>Hm.</think>Yes <think>no</think>"], ("Hm.", "Yes <think>no</think>")),
        (["Use <think> to think"], ("", "Use <think> to think")),
        (["<thin"], ("", "<thin")),
        (["<", "b>bold"], ("", "<b>bold")),
        (["\n\n", "Yes"], ("", "\n\nYes")),
        (["<think>Hm.</thi"], ("Hm.</thi", "")),
    ],
    ids=str,
)
def test_think_tags_at_the_start_are_reasoning(contents: list[str], expected: tuple[str, str]) -> None:
    assert streamed(*contents) == expected


@given(
    st.data(), st.sampled_from(["<think>a < b</think>\n\nYes </think>", " \n<think>x", "no <think>y</think>", "<thx"])
)
def test_think_tags_do_not_depend_on_how_the_text_is_cut(data: st.DataObject, whole: str) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1))))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert streamed(*pieces) == streamed(whole)
