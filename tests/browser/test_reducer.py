"""The page's reducer: recorded event logs folded to what a reader should see, in a real browser without a server."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page


def fold(page: Page, *frames: list[dict[str, Any]], then: str = "chat") -> Any:
    """The frames' events folded one frame after the other; `then` is a JavaScript expression over `chat`."""
    script = f"""async (frames) => {{
      const {{ emptyChat, fold, callStatus, textAfter }} = await import("/static/reducer.js");
      const chat = frames.reduce((before, frame) => fold(Object.freeze(before), frame), emptyChat());
      return {then};
    }}"""
    return page.evaluate(script, list(frames))


def snapshot(version: int = 1, **fields: Any) -> dict[str, Any]:
    base = {"version": version, "conversation": {"id": "c"}, "status": "idle", "queue": [], "interrupts": []}
    return {"type": "STATE_SNAPSHOT", "snapshot": base | fields, "metadata": {"eventId": f"s{version}"}}


def run_started(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RUN_STARTED", "threadId": "c", "runId": "r", "input": {"messages": list(messages)}}


def said(content: str, id: str = "u") -> dict[str, Any]:
    return {"id": id, "role": "user", "content": content}


def delta(text: str, id: str = "a") -> dict[str, Any]:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": text}


START = {"type": "TEXT_MESSAGE_START", "messageId": "a", "role": "assistant", "name": "coder", "timestamp": 1000}
END = {"type": "TEXT_MESSAGE_END", "messageId": "a", "timestamp": 3000}
SUCCESS = {"type": "RUN_FINISHED", "outcome": {"type": "success"}}
CALL = [
    run_started(said("compute")),
    START,
    END,
    {"type": "TOOL_CALL_START", "toolCallId": "t", "toolCallName": "execute_python", "parentMessageId": "a"},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "t", "delta": '{"code": '},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "t", "delta": '"1+1"}'},
]
CALL_END = {"type": "TOOL_CALL_END", "toolCallId": "t"}
INTERRUPT = {"id": "i", "reason": "tool_call", "toolCallId": "t", "message": "No network."}


def test_a_run_becomes_the_question_and_its_answer(modules: Page) -> None:
    log = [run_started(said("hello")), START, delta("Hi "), delta("there"), END, SUCCESS]
    messages = fold(modules, [snapshot()], log, then="chat.messages.map((m) => [m.role, m.name, m.content, m.status])")
    assert messages == [["user", None, "hello", "complete"], ["assistant", "coder", "Hi there", "complete"]]


def test_how_events_fall_into_frames_changes_nothing(modules: Page) -> None:
    log = [snapshot(), run_started(said("hello")), START, *[delta(f"{n} ") for n in range(50)], END, SUCCESS]
    shown = "[chat.messages, chat.eventId]"
    assert fold(modules, log, then=shown) == fold(modules, *[[event] for event in log], then=shown)


def test_a_reader_is_told_only_the_text_that_is_new(modules: Page) -> None:
    log = [START, delta("one "), delta("two ")]
    assert fold(modules, log, [delta("three")], then="textAfter(chat.messages[0], 8)") == "three"
    assert fold(modules, log, [delta("three"), END], then="textAfter(chat.messages[0], 8)") == "three"


def test_an_older_state_does_not_replace_a_newer_one(modules: Page) -> None:
    log = [snapshot(7, status="running"), snapshot(6, status="idle")]
    assert fold(modules, log, then="chat.server.status") == "running"


def test_a_state_delta_patches_the_state(modules: Page) -> None:
    patch = [
        {"op": "replace", "path": "/version", "value": 2},
        {"op": "add", "path": "/queue/-", "value": {"id": "q1", "content": "a", "held": False}},
        {"op": "add", "path": "/queue/0", "value": {"id": "q0", "content": "b", "held": False}},
        {"op": "replace", "path": "/queue/1/held", "value": True},
        {"op": "add", "path": "/lastError", "value": {"message": "no"}},
        {"op": "remove", "path": "/usage"},
    ]
    log = [snapshot(1, usage={"inputTokens": 1}), {"type": "STATE_DELTA", "delta": patch}]
    server = fold(modules, log, then="chat.server")
    assert [(item["id"], item["held"]) for item in server["queue"]] == [("q0", False), ("q1", True)]
    assert (server["version"], server["lastError"], "usage" in server) == (2, {"message": "no"}, False)


def test_a_snapshot_replaces_the_history_and_keeps_unchanged_messages_untouched(modules: Page) -> None:
    first = {"type": "MESSAGES_SNAPSHOT", "messages": [said("a", "1"), said("b", "2")]}
    second = {"type": "MESSAGES_SNAPSHOT", "messages": [said("a", "1"), said("c", "3")]}
    script = """async ([first, second]) => {
      const { emptyChat, reduce } = await import("/static/reducer.js");
      const before = reduce(emptyChat(), first), after = reduce(before, second);
      return [after.messages.map((m) => m.content), before.messages[0] === after.messages[0]];
    }"""
    assert modules.evaluate(script, [first, second]) == [["a", "c"], True]


def test_a_message_that_the_history_already_holds_is_not_shown_twice(modules: Page) -> None:
    log = [{"type": "MESSAGES_SNAPSHOT", "messages": [said("hello")]}, run_started(said("hello"))]
    assert fold(modules, log, then="chat.messages.length") == 1


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([snapshot(status="running")], "preparing"),
        ([CALL_END, snapshot(status="running")], "running"),
        ([CALL_END, snapshot(status="awaiting", interrupts=[INTERRUPT])], "waiting"),
        ([CALL_END, snapshot(status="awaiting")], "decided"),
        ([CALL_END, snapshot(status="idle")], "cancelled"),
        ([CALL_END, {"type": "TOOL_CALL_RESULT", "messageId": "m", "toolCallId": "t", "content": "2"}], "completed"),
    ],
)
def test_a_tool_call_tells_how_it_stands(modules: Page, events: list[dict[str, Any]], status: str) -> None:
    assert fold(modules, CALL, events, then="callStatus(chat, chat.calls.t)") == status


def test_a_tool_call_gathers_its_arguments_output_and_result(modules: Page) -> None:
    output = [{"type": "CUSTOM", "name": "tool_output", "value": {"toolCallId": "t", "text": text}} for text in "ab"]
    result = {"type": "TOOL_CALL_RESULT", "messageId": "m", "toolCallId": "t", "content": "2"}
    call = fold(modules, [*CALL, CALL_END, *output, result], then="chat.calls.t")
    assert (json.loads(call["args"]), call["output"], call["result"]["content"]) == ({"code": "1+1"}, "ab", "2")


def test_history_from_a_snapshot_has_its_calls_and_results(modules: Page) -> None:
    history = [
        said("compute"),
        {
            "id": "a",
            "role": "assistant",
            "toolCalls": [{"id": "t", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}],
        },
        {"id": "m", "role": "tool", "toolCallId": "t", "content": "noon", "error": "late"},
    ]
    log = [{"type": "MESSAGES_SNAPSHOT", "messages": history}]
    assert fold(modules, log, then="callStatus(chat, chat.calls.t)") == "failed"
    assert fold(modules, log, then="chat.messages.map((m) => m.role)") == ["user", "assistant"]


def test_reasoning_is_a_message_that_knows_how_long_it_took(modules: Page) -> None:
    log = [
        run_started(said("why")),
        {"type": "REASONING_START", "messageId": "x"},
        {"type": "REASONING_MESSAGE_START", "messageId": "x", "role": "reasoning", "timestamp": 1000},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "x", "delta": "because"},
        {"type": "REASONING_MESSAGE_END", "messageId": "x", "timestamp": 4000},
        {"type": "REASONING_END", "messageId": "x"},
    ]
    thought = fold(modules, log, then="chat.messages[1]")
    assert (thought["role"], thought["content"], thought["endedAt"] - thought["startedAt"]) == (
        "reasoning",
        "because",
        3000,
    )


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ({"type": "RUN_FINISHED", "outcome": {"type": "cancelled"}}, "interrupted"),
        ({"type": "RUN_ERROR", "message": "no"}, "failed"),
    ],
)
def test_a_run_that_ends_early_closes_what_was_open(modules: Page, ending: dict[str, Any], status: str) -> None:
    message = fold(modules, [START, delta("half"), ending], then="chat.messages[0]")
    assert (message["content"], message["status"], message["streaming"]) == ("half", status, False)


def test_steps_are_timed(modules: Page) -> None:
    log = [
        run_started(),
        {"type": "STEP_STARTED", "stepName": "StreamChat", "timestamp": 100},
        {"type": "STEP_FINISHED", "stepName": "StreamChat", "timestamp": 350},
        {"type": "STEP_STARTED", "stepName": "StreamChat", "timestamp": 400},
    ]
    steps = fold(modules, log, then="chat.run.steps.map((step) => step.ms)")
    assert steps == [250, None]


def test_a_retry_is_shown_until_the_answer_begins(modules: Page) -> None:
    retry = {"type": "CUSTOM", "name": "retry", "value": {"attempt": 1, "reason": "Busy.", "waitSeconds": 2}}
    assert fold(modules, [run_started(), retry], then="chat.retry.reason") == "Busy."
    assert fold(modules, [run_started(), retry, START], then="chat.retry") is None


def test_a_notice_stands_where_it_came(modules: Page) -> None:
    notice = {"type": "CUSTOM", "name": "notice", "value": {"text": "Left out."}, "metadata": {"eventId": "n"}}
    assert fold(modules, [run_started(said("a")), notice, START], then="chat.messages.map((m) => m.role)") == [
        "user",
        "notice",
        "assistant",
    ]


def test_the_place_to_come_back_to_is_the_last_event_seen(modules: Page) -> None:
    answer = {"type": "CUSTOM", "name": "command_accepted", "value": {"commandId": "k"}}
    assert fold(modules, [snapshot(3), answer], then="chat.eventId") == "s3"


def test_what_it_does_not_know_it_passes_over(modules: Page) -> None:
    log = [{"type": "SOMETHING_NEW"}, {"type": "CUSTOM", "name": "new", "value": {}}, delta("x", "nobody")]
    assert fold(modules, log, then="chat.messages.length + Object.keys(chat.calls).length") == 0
