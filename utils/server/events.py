"""Small constructors for AG-UI 1.0 events: plain dicts, ready for JSON, absent optionals left out.

The schema is the package `ag-ui-protocol`; tests hold what goes out against its models. What a person may want timed
carries a `timestamp` in milliseconds.
"""

from typing import Any

from utils.server.rows import now_ms

Event = dict[str, Any]
PROTOCOL_VERSION = "1.0"


def run_started(thread_id: str, run_id: str, messages: list[dict[str, Any]]) -> Event:
    """`messages`: the user's new messages, none for a resume or a regenerate."""
    agent_input = {"threadId": thread_id, "runId": run_id, "messages": messages}
    return {
        "type": "RUN_STARTED",
        "threadId": thread_id,
        "runId": run_id,
        "protocolVersion": PROTOCOL_VERSION,
        "input": agent_input,
    }


def run_finished(thread_id: str, run_id: str, outcome: dict[str, Any], usage: list[Any], result: Any) -> Event:
    """`outcome`: `{"type": "success" | "interrupt" | "cancelled", …}`; `result`: timings in milliseconds."""
    event = {"type": "RUN_FINISHED", "threadId": thread_id, "runId": run_id, "outcome": outcome, "result": result}
    return event | {"usage": usage} if usage else event


def run_error(message: str, code: str) -> Event:
    return {"type": "RUN_ERROR", "message": message, "code": code}


def run_ended(thread_id: str, model: str, record: dict[str, Any]) -> Event:
    """The last event of a run; `record` as the store takes it, see ConversationStore.finish_run."""
    if record["error"]:
        return run_error(**record["error"])
    outcome = {"type": record["status"]}
    if record["interrupts"]:
        outcome["interrupts"] = record["interrupts"]
    if record["pending"]:
        outcome["pendingToolCallIds"] = record["pending"]
    usage = [{"model": model} | record["usage"]] if record["usage"] else []
    result = {"durationMs": record["duration_ms"]}
    if record["first_token_ms"] is not None:
        result["firstTokenMs"] = record["first_token_ms"]
    return run_finished(thread_id, record["run_id"], outcome, usage, result)


def step_started(name: str) -> Event:
    return {"type": "STEP_STARTED", "stepName": name, "timestamp": now_ms()}


def step_finished(name: str) -> Event:
    return {"type": "STEP_FINISHED", "stepName": name, "timestamp": now_ms()}


def text_start(message_id: str, name: str) -> Event:
    return {"type": "TEXT_MESSAGE_START", "messageId": message_id, "role": "assistant", "name": name}


def text_content(message_id: str, delta: str) -> Event:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": delta}


def text_end(message_id: str, status: str) -> Event:
    return {"type": "TEXT_MESSAGE_END", "messageId": message_id, "metadata": {"status": status}}


def reasoning_start(message_id: str) -> list[Event]:
    opened: Event = {"type": "REASONING_MESSAGE_START", "messageId": message_id, "role": "reasoning"}
    opened["timestamp"] = now_ms()
    return [{"type": "REASONING_START", "messageId": message_id}, opened]


def reasoning_content(message_id: str, delta: str) -> Event:
    return {"type": "REASONING_MESSAGE_CONTENT", "messageId": message_id, "delta": delta}


def reasoning_end(message_id: str, metadata: dict[str, Any]) -> list[Event]:
    closed: Event = {"type": "REASONING_MESSAGE_END", "messageId": message_id, "metadata": metadata}
    closed["timestamp"] = now_ms()
    return [closed, {"type": "REASONING_END", "messageId": message_id}]


def tool_start(call_id: str, name: str, parent_message_id: str) -> Event:
    start = {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": name, "timestamp": now_ms()}
    return start | {"parentMessageId": parent_message_id}


def tool_args(call_id: str, delta: str) -> Event:
    return {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": delta}


def tool_end(call_id: str) -> Event:
    return {"type": "TOOL_CALL_END", "toolCallId": call_id}


def tool_result(message: dict[str, Any]) -> Event:
    """The event for a stored tool message."""
    return {
        "type": "TOOL_CALL_RESULT",
        "messageId": message["id"],
        "toolCallId": message["toolCallId"],
        "content": message["content"],
        "role": "tool",
        "timestamp": now_ms(),
        "metadata": message["metadata"],
    }


def messages_snapshot(messages: list[dict[str, Any]]) -> Event:
    return {"type": "MESSAGES_SNAPSHOT", "messages": messages}


def state_snapshot(state: dict[str, Any]) -> Event:
    return {"type": "STATE_SNAPSHOT", "snapshot": state}


def custom(name: str, value: Any) -> Event:
    return {"type": "CUSTOM", "name": name, "value": value}


def notice(text: str) -> Event:
    """A note in the chat from the server itself, not kept in the history."""
    return custom("notice", {"text": text})


def tool_output(call_id: str, text: str) -> Event:
    return custom("tool_output", {"toolCallId": call_id, "text": text})


def retry(attempt: int, reason: str, wait_seconds: float) -> Event:
    return custom("retry", {"attempt": attempt, "reason": reason, "waitSeconds": wait_seconds})
