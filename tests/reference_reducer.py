"""What a client makes of the events: messages and state, folded as AG-UI's own client does, written for the tests."""

from typing import Any

Event = dict[str, Any]


class Mirror:
    """Apply events in order; `messages` and `state` are then what the page would hold. `problems` must stay empty."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {}
        self.problems: list[str] = []
        self._open: set[tuple[str, str]] = set()
        self._running: str | None = None
        self._started: set[str] = set()

    def apply(self, event: Event) -> None:
        handler = getattr(self, "_" + event["type"].lower(), None)
        if handler:
            handler(event)

    def _find(self, message_id: str) -> dict[str, Any]:
        for message in self.messages:
            if message["id"] == message_id:
                return message
        self.problems.append(f"no message {message_id}")
        return {"id": message_id, "content": "", "toolCalls": []}

    def _add(self, message: dict[str, Any]) -> None:
        if any(known["id"] == message["id"] for known in self.messages):
            self.problems.append(f"message {message['id']} began twice")
        self.messages.append(message)

    def _messages_snapshot(self, event: Event) -> None:
        self.messages = [dict(message) for message in event["messages"]]

    def _state_snapshot(self, event: Event) -> None:
        if event["snapshot"]["version"] >= self.state.get("version", 0):
            self.state = event["snapshot"]

    def _run_started(self, event: Event) -> None:
        if self._running:
            self.problems.append(f"{event['runId']} began while {self._running} ran")
        self._running = event["runId"]
        for message in event["input"]["messages"]:
            self._add(dict(message))

    def _run_finished(self, event: Event) -> None:
        if self._open or self._running != event["runId"]:
            self.problems.append(f"{event['runId']} ended with {self._open} open while {self._running} ran")
        self._running = None

    def _run_error(self, event: Event) -> None:
        self._open.clear()
        self._running = None

    def _open_it(self, kind: str, key: str) -> None:
        if (kind, key) in self._open:
            self.problems.append(f"{kind} {key} opened twice")
        self._open.add((kind, key))

    def _close_it(self, kind: str, key: str) -> None:
        if (kind, key) not in self._open:
            self.problems.append(f"{kind} {key} closed but not open")
        self._open.discard((kind, key))

    def _step_started(self, event: Event) -> None:
        self._open_it("step", event["stepName"])

    def _step_finished(self, event: Event) -> None:
        self._close_it("step", event["stepName"])

    def _text_message_start(self, event: Event) -> None:
        self._open_it("text", event["messageId"])
        message = {"id": event["messageId"], "role": event["role"], "content": "", "name": event["name"]}
        self._add(message)

    def _text_message_content(self, event: Event) -> None:
        self._find(event["messageId"])["content"] += event["delta"]

    def _text_message_end(self, event: Event) -> None:
        self._close_it("text", event["messageId"])
        self._find(event["messageId"])["metadata"] = _metadata(event)

    def _reasoning_message_start(self, event: Event) -> None:
        self._open_it("reasoning", event["messageId"])
        self._add({"id": event["messageId"], "role": "reasoning", "content": ""})

    _reasoning_message_content = _text_message_content

    def _reasoning_message_end(self, event: Event) -> None:
        self._close_it("reasoning", event["messageId"])
        self._find(event["messageId"])["metadata"] = _metadata(event)

    def _tool_call_start(self, event: Event) -> None:
        self._open_it("call", event["toolCallId"])
        call = {"id": event["toolCallId"], "type": "function"}
        call["function"] = {"name": event["toolCallName"], "arguments": ""}
        parent = self._find(event["parentMessageId"])
        parent["toolCalls"] = [*parent.get("toolCalls", []), call]

    def _tool_call_args(self, event: Event) -> None:
        for message in self.messages:
            for call in message.get("toolCalls", ()):
                if call["id"] == event["toolCallId"]:
                    call["function"]["arguments"] += event["delta"]

    def _tool_call_end(self, event: Event) -> None:
        self._close_it("call", event["toolCallId"])

    def _tool_call_result(self, event: Event) -> None:
        message = {"id": event["messageId"], "role": "tool", "toolCallId": event["toolCallId"]}
        self._add(message | {"content": event["content"], "metadata": _metadata(event)})


def _metadata(event: Event) -> dict[str, Any]:
    """What the event says of its message: all but its own place in the order."""
    return {name: value for name, value in event["metadata"].items() if name != "eventId"}
