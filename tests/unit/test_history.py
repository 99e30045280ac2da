"""What a model is sent: always valid for the API, and never more than it may read."""

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.history import for_model, plain_text, shorter, within
from utils.text_tool_prompt import as_text

Message = dict[str, Any]

TEXT = st.text(max_size=12)
ID = st.sampled_from(["c1", "c2", "c3", "c4"])
STATUS = st.sampled_from(["complete", "interrupted", "failed"])
ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', '{"a": ', "", "[1]", "null", '"x"'])
PARTS = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
    | st.just({"type": "image", "source": {"type": "url", "value": "/files/plot.png"}})
    | st.just({"type": "image", "source": {"type": "data", "value": "AAAA"}}),
    max_size=3,
)
CALL = st.builds(
    lambda id, name, arguments: {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}},
    ID,
    st.sampled_from(["current_time", "", "a b.c", "x" * 80]),
    ARGUMENTS,
)


def metadata(status: str) -> Message:
    return {"metadata": {"status": status}}


USER = st.builds(lambda content: {"role": "user", "content": content}, TEXT | PARTS)
REASONING = st.builds(lambda text, status: {"role": "reasoning", "content": text} | metadata(status), TEXT, STATUS)
TOOL = st.builds(lambda id, content: {"role": "tool", "toolCallId": id, "content": content}, ID, TEXT | PARTS)
ANSWER = st.builds(lambda text, status: {"role": "assistant", "content": text} | metadata(status), TEXT, STATUS)
CALLING = st.builds(
    lambda answer, calls: answer | {"toolCalls": calls},
    ANSWER,
    st.lists(CALL, min_size=1, max_size=3, unique_by=lambda call: call["id"]),
)


def with_ids(messages: list[Message]) -> list[Message]:
    """Each call id belongs to one message, as the conversation sees to it."""
    taken: set[str] = set()
    for message in messages:
        calls = [call for call in message.pop("toolCalls", []) if call["id"] not in taken]
        taken.update(call["id"] for call in calls)
        if calls:
            message["toolCalls"] = calls
    return [{"id": f"m{number}"} | message for number, message in enumerate(messages)]


HISTORY = st.lists(USER | REASONING | TOOL | ANSWER | CALLING, max_size=12).map(with_ids)


def check(prompt: list[Message]) -> None:
    """Raise unless the chat-completions API would take it."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in prompt:
        assert set(message) <= {"role", "content", "tool_calls", "tool_call_id"}
        if message["role"] == "tool":
            assert waiting.pop(0) == message["tool_call_id"]
        assert waiting == [] or message["role"] == "tool"
        if message["role"] == "assistant" and message.get("tool_calls"):
            waiting = [call["id"] for call in message["tool_calls"]]
            assert not seen & set(waiting)
            seen.update(waiting)
            for call in message["tool_calls"]:
                assert isinstance(json.loads(call["function"]["arguments"]), dict)
                assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"])
        else:
            assert isinstance(message["content"], str)
    assert waiting == []


@given(HISTORY, st.integers(0, 600))
def test_the_history_is_valid_for_the_api_whatever_happened(history: list[Message], budget: int) -> None:
    for kept in (history, within(history, budget), shorter(history)):
        check(for_model(kept, "Be kind."))


@given(HISTORY)
def test_as_text_it_has_no_tool_parts_and_takes_turns(history: list[Message]) -> None:
    prompt = as_text(for_model(history, "Be kind."))
    assert all(set(message) == {"role", "content"} for message in prompt)
    roles = [message["role"] for message in prompt]
    assert set(roles[1:]) <= {"user", "assistant"}
    assert all(first != second for first, second in itertools.pairwise(roles))


@given(HISTORY, st.integers(0, 600))
def test_only_the_oldest_whole_turns_are_left_out(history: list[Message], budget: int) -> None:
    kept = within(history, budget)
    assert history[len(history) - len(kept) :] == kept
    if len(kept) < len(history):
        assert kept[0]["role"] == "user"
    if any(message["role"] == "user" for message in history):
        assert any(message["role"] == "user" for message in kept)


def turn(number: int, size: int = 1000) -> list[Message]:
    return [
        {"id": f"u{number}", "role": "user", "content": "x" * size},
        {"id": f"a{number}", "role": "assistant", "content": "Yes."} | metadata("complete"),
    ]


def test_a_budget_keeps_the_newest_turns_and_always_the_last() -> None:
    history = turn(1) + turn(2) + turn(3)
    assert within(history, 10_000) == history
    assert within(history, 2_500) == turn(2) + turn(3)
    assert within(history, 0) == turn(3)


def test_shorter_ends_at_the_last_turn() -> None:
    history, sizes = [message for number in range(40) for message in turn(number)], []
    while len(left := shorter(history)) < len(history):
        history = left
        sizes.append(len(history) // 2)
    assert history == turn(39)
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) < 15


@pytest.mark.parametrize(("status", "sent"), [("complete", True), ("interrupted", True), ("failed", False)])
def test_a_failed_partial_is_not_sent(status: str, sent: bool) -> None:
    answer = {"id": "a", "role": "assistant", "content": "Half an ans"} | metadata(status)
    assert ("Half an ans" in str(for_model([*turn(1), answer], ""))) is sent


def test_the_first_result_of_a_call_counts() -> None:
    calling = {"id": "a", "role": "assistant", "content": "", "toolCalls": [_time_call()]}
    results = [{"role": "tool", "toolCallId": "c1", "content": content} for content in ("Friday", "Monday")]
    assert [m["content"] for m in for_model([*turn(1), calling, *results], "")][-1] == "Friday"


def test_a_call_without_a_result_was_not_executed() -> None:
    calling = {"id": "a", "role": "assistant", "content": "", "toolCalls": [_time_call()]}
    assert for_model([calling], "")[-1] == {"role": "tool", "tool_call_id": "c1", "content": "Not executed."}


def _time_call() -> Message:
    return {"id": "c1", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}


def test_a_picture_is_named_by_its_address() -> None:
    picture = {"type": "image", "source": {"type": "url", "value": "/files/plot.png"}}
    assert plain_text([{"type": "text", "text": "Here:"}, picture]) == "Here:\n[image: /files/plot.png]"
