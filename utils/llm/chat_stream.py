"""The hot path: a provider's raw bytes in, typed deltas out, tolerant of what real servers send.

The SSE lines are split here and parsed with orjson: a typed object a chunk would cost more than all the rest together.
"""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from utils.llm.deltas import Delta, Finish, ReasoningDelta, TextDelta, Usage
from utils.llm.errors import ModelError, error_from_chunk, readable, unreadable
from utils.llm.think_tags import ThinkTags
from utils.llm.tool_call_pieces import ToolCallPieces

REASONS = {
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "eos": "stop",
    "end_turn": "stop",
}
LONGEST_LINE = 4 * 2**20
LONGEST_QUOTE = 300


class ChatStream:
    """Reads one answer: `feed` it what the network brought, `end` it when the server has closed.

    Both yield deltas. Both raise ModelError, after the deltas that came before it, where the provider reported an error
    or sent what cannot be read.
    """

    def __init__(self, key: str | None = None) -> None:
        self.finish_reason: str | None = None
        self.done = False
        """Finish was yielded: nothing more of this answer will come."""
        self._key = key
        self._rest = b""
        self._split_event = bytearray()
        self._is_error = False
        self._not_sse = bytearray()
        self._answered = False
        self._usage: Usage | None = None
        self._calls = ToolCallPieces()
        self._thinking = ThinkTags()

    def feed(self, data: bytes) -> Iterator[Delta]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise unreadable("a line of more than 4 MiB")
        for line in lines:
            if line.startswith(b"data: {") and not self._split_event and not self._is_error:
                chunk = parse(line[6:])
                if chunk is not None:
                    yield from self._chunk(chunk)
                    continue
            yield from self._line(line.rstrip(b"\r"))
            if self.done:
                return

    def end(self) -> Iterator[Delta]:
        if self._split_event:
            yield from self._line(b"")
        yield from self._line(self._rest)
        if self._is_error:
            yield from self._line(b"")
        if self._not_sse and not self._answered:
            body = parse(bytes(self._not_sse))
            if not isinstance(body, dict):
                raise self._not_an_answer()
            yield from self._chunk(body)
        if not self.done:
            yield from self._finish("cut")

    def _not_an_answer(self) -> ModelError:
        return unreadable(quote(readable(self._not_sse.decode(errors="replace"))), self._key)

    def _line(self, line: bytes) -> Iterator[Delta]:
        """Any line but a whole chunk."""
        name, _, value = line.partition(b":")
        if name == b"data":
            yield from self._data(value.strip())
        elif not line:
            if self._split_event:
                event, self._split_event = bytes(self._split_event), bytearray()
                yield from self._event(parse(event), event)
            self._is_error = False
        elif name == b"event":
            self._is_error = value.strip() == b"error"
        elif name == b"error":
            raise error_from_chunk(parse(value) or value.decode(errors="replace").strip(), self._key)
        elif line.startswith(b"{") and isinstance(body := parse(line), dict):
            yield from self._chunk(body)
        elif name not in (b"", b"id", b"retry"):
            self._not_sse += line + b"\n"
            if len(self._not_sse) > LONGEST_LINE:
                raise self._not_an_answer()

    def _data(self, text: bytes) -> Iterator[Delta]:
        if text == b"[DONE]":
            yield from self._finish("stop")
        elif text and (self._split_event or (value := parse(text)) is None):
            self._split_event += text + b"\n"
            if len(self._split_event) > LONGEST_LINE:
                raise unreadable("an event of more than 4 MiB")
        elif text:
            yield from self._event(value, text)

    def _event(self, value: Any, text: bytes) -> Iterator[Delta]:
        if self._is_error:
            raise error_from_chunk(value or text.decode(errors="replace"), self._key)
        if not isinstance(value, dict):
            raise unreadable(quote(text.decode(errors="replace")), self._key)
        yield from self._chunk(value)

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        try:
            if chunk.get("error") or chunk.get("object") == "error":
                raise error_from_chunk(chunk, self._key)
            if usage := chunk.get("usage"):
                yield from self._count(usage)
            if choices := chunk.get("choices"):
                self._answered = True
                choice = choices[0]
                if delta := choice.get("delta") or choice.get("message"):
                    yield from self._delta(delta)
                if reason := choice.get("finish_reason"):
                    if choice.get("error"):
                        raise error_from_chunk(choice, self._key)
                    self.finish_reason = REASONS.get(reason.lower(), reason.lower())
        except (AttributeError, TypeError, KeyError) as error:
            raise unreadable(quote(json.dumps(chunk)), self._key) from error

    def _delta(self, delta: dict[str, Any]) -> Iterator[Delta]:
        if (reasoning := delta.get("reasoning_content") or delta.get("reasoning")) and isinstance(reasoning, str):
            yield ReasoningDelta(reasoning)
        if content := delta.get("content") or delta.get("refusal"):
            text = content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
            if self._thinking.over:
                yield TextDelta(text)
            else:
                yield from self._thinking.take(text)
        for piece in delta.get("tool_calls") or ():
            yield from self._thinking.rest()
            if call := self._calls.take(piece):
                yield call

    def _count(self, usage: dict[str, Any]) -> Iterator[Usage]:
        counted = Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)
        if counted != self._usage:
            self._usage = counted
            yield counted

    def _finish(self, unless_said: str) -> Iterator[Delta]:
        if not self._answered:
            raise unreadable("nothing at all")
        yield from self._thinking.rest()
        yield from self._calls.rest()
        reason = self.finish_reason or unless_said
        self.done = True
        yield Finish("tool_calls" if self._calls and reason == "stop" else reason)


def quote(text: str) -> str:
    return f"“{text[:LONGEST_QUOTE].strip()}”"


def parse(text: bytes) -> Any:
    """The JSON value, or None if it is none. Bad UTF-8 and halves of surrogate pairs become replacement characters."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        value = json.loads(text.decode(errors="replace"))
        return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None


if __name__ == "__main__":
    stream = ChatStream()
    for data in (b'data: {"choices": [{"delta": {"content": "Hel', b'lo"}}]}\n\ndata: [DONE]\n\n'):
        print(list(stream.feed(data)))
