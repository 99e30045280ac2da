"""One answer while it grows: typed deltas in, AG-UI events out at once, and in the end the messages to store."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from utils.server import events
from utils.server.rows import Message, new_id
from utils.server.store import ToolCall
from utils.stream_llm import Delta, Finish, ModelError, ReasoningDelta, Retry, TextDelta, ToolCallDelta, Usage

MAX_CALLS = 16
MAX_ARGUMENTS = 256 * 1024
MAX_ANSWER = 1024 * 1024
REMARKS = {
    "cut": "The model's server ended the answer without saying that it was complete.",
    "length": "The answer reached the longest length that the model gives at once.",
    "content_filter": "The provider's content filter ended the answer.",
}


@dataclass
class Call:
    id: str
    name: str
    pieces: list[str] = field(default_factory=list)
    size: int = 0


@dataclass
class Thought:
    id: str
    began: float = field(default_factory=time.monotonic)
    pieces: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=lambda: {"status": "interrupted"})


class Answer:
    """`emit` tells everyone; `agent` signs the message; `used_ids` are tool call ids the conversation has already."""

    def __init__(self, emit: Callable[[events.Event], None], agent: str, used_ids: set[str]) -> None:
        self._emit, self._agent, self._used_ids = emit, agent, used_ids
        self._message_id: str | None = None
        self._text: list[str] = []
        self.size = 0
        self._thoughts: list[Thought] = []
        self._order: list[str] = []
        self._thinking = False
        self._calls: dict[int, Call] = {}
        self.usage = {"inputTokens": 0, "outputTokens": 0}
        self.finish = ""
        self.first_delta_at: float | None = None
        self.status = "interrupted"
        self.stopped = False
        self.error: dict[str, str] | None = None

    def add(self, delta: Delta) -> None:
        """Take in one delta. Raises ModelError when the answer passes a limit."""
        if type(delta) is TextDelta:
            self._add_text(delta.text)
        elif isinstance(delta, ReasoningDelta):
            self._add_reasoning(delta.text)
        elif isinstance(delta, ToolCallDelta):
            self._add_call(delta)
        elif isinstance(delta, Usage):
            self.usage = {"inputTokens": delta.input_tokens, "outputTokens": delta.output_tokens}
        elif isinstance(delta, Finish):
            self.finish = delta.reason
        elif isinstance(delta, Retry):
            self._emit(events.retry(delta.attempt, delta.reason, delta.wait_seconds))

    def _add_text(self, text: str) -> None:
        message_id = self._open_message()
        self._text.append(text)
        self._emit(events.text_content(message_id, text))
        self._count(text)

    def _add_reasoning(self, text: str) -> None:
        if not self._thinking:
            self._begin()
            self._thinking = True
            self._thoughts.append(Thought(new_id("reasoning")))
            self._order.append(self._thoughts[-1].id)
            for event in events.reasoning_start(self._thoughts[-1].id):
                self._emit(event)
        self._thoughts[-1].pieces.append(text)
        self._emit(events.reasoning_content(self._thoughts[-1].id, text))
        self._count(text)

    def _add_call(self, delta: ToolCallDelta) -> None:
        if delta.index not in self._calls:
            self._open_call(delta)
        call = self._calls[delta.index]
        if delta.arguments:
            call.pieces.append(delta.arguments)
            call.size += len(delta.arguments)
            if call.size > MAX_ARGUMENTS:
                raise _too_much(f"arguments of more than {MAX_ARGUMENTS // 1024} KiB for {call.name}")
            self._emit(events.tool_args(call.id, delta.arguments))

    def _open_call(self, delta: ToolCallDelta) -> None:
        if len(self._calls) == MAX_CALLS:
            raise _too_much(f"more than {MAX_CALLS} tools at once")
        message_id = self._open_message()
        known = delta.id is None or delta.id in self._used_ids
        call = Call(new_id("call") if known else str(delta.id), delta.name or "")
        self._used_ids.add(call.id)
        self._calls[delta.index] = call
        self._emit(events.tool_start(call.id, call.name, message_id))

    def _open_message(self) -> str:
        self._end_reasoning("complete")
        if self._message_id is None:
            self._begin()
            self._message_id = new_id("msg")
            self._order.append(self._message_id)
            self._emit(events.text_start(self._message_id, self._agent))
        return self._message_id

    def _begin(self) -> None:
        if self.first_delta_at is None:
            self.first_delta_at = time.monotonic()

    def _count(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_ANSWER:
            raise _too_much(f"an answer of more than {MAX_ANSWER // 1024} KiB")

    def _end_reasoning(self, status: str) -> None:
        if self._thinking:
            self._thinking = False
            thought = self._thoughts[-1]
            thought.metadata = {"status": status, "durationMs": round((time.monotonic() - thought.began) * 1000)}
            for event in events.reasoning_end(thought.id, thought.metadata):
                self._emit(event)

    def close(self, status: str) -> None:
        """Close what is open, once. `status`: complete, interrupted or failed; only a complete one keeps its calls."""
        self.status = status
        self._end_reasoning(status)
        if self._message_id is not None:
            for call in self._calls.values():
                self._emit(events.tool_end(call.id))
            self._emit(events.text_end(self._message_id, status))

    @property
    def calls(self) -> list[ToolCall]:
        if self.status != "complete":
            return []
        return [ToolCall(call.id, call.name, "".join(call.pieces)) for call in self._calls.values()]

    @property
    def differs(self) -> bool:
        """Whether live readers hold something that the history does not have so."""
        return self.status != "complete" and bool(self._order)

    @property
    def remark(self) -> str:
        """What a person should know about how it ended; "" if nothing."""
        return REMARKS.get(self.finish, "")

    @property
    def text(self) -> str:
        return "".join(self._text)

    def messages(self) -> list[Message]:
        """The messages to store, in the order they began. An incomplete answer without text ends before it."""
        thought = [_stored(thought) for thought in self._thoughts]
        if self._message_id is None:
            return thought
        if self.status != "complete" and not self._text:
            return thought[: self._order.index(self._message_id)]
        thought.insert(self._order.index(self._message_id), self._message())
        return thought

    def _message(self) -> Message:
        message: Message = {"id": self._message_id, "role": "assistant", "content": self.text, "name": self._agent}
        if self.calls:
            message["toolCalls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.calls
            ]
        return message | {"metadata": {"status": self.status}}


def _stored(thought: Thought) -> Message:
    return {"id": thought.id, "role": "reasoning", "content": "".join(thought.pieces), "metadata": thought.metadata}


def _too_much(what: str) -> ModelError:
    return ModelError(f"The model sent {what}, which is over the limit. What arrived before is kept.", "too_large")


if __name__ == "__main__":
    trial = Answer(print, "assistant", set())
    trial.add(TextDelta("Hello "))
    trial.add(ToolCallDelta(0, None, "current_time", "{}"))
    trial.close("complete")
    print(trial.messages())
