"""Which tool call a streamed piece belongs to, whatever the server did with indexes, ids and names."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.llm.deltas import ToolCallDelta


@dataclass(slots=True)
class _Call:
    index: int
    place: Any
    """What the server called the call's index; None when it gave none."""
    id: str | None
    name: str | None = None
    pieces: list[str] = field(default_factory=list)
    announced: bool = False

    def is_complete(self) -> bool:
        arguments = "".join(self.pieces)
        try:
            return arguments.endswith("}") and orjson.loads(arguments) is not None
        except orjson.JSONDecodeError:
            return False


class ToolCallPieces:
    """Sorts the pieces of one answer: `take` a piece as the server sent it, get at most one delta."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, piece: dict[str, Any]) -> ToolCallDelta | None:
        function = piece.get("function") or {}
        id, name = piece.get("id"), function.get("name") or None
        call = self._call(piece.get("index"), str(id) if id else None, name)
        if text := _text(function.get("arguments")):
            call.pieces.append(text)
        if call.announced:
            return ToolCallDelta(call.index, None, None, text) if text else None
        call.name = name
        return self._announce(call) if name else None

    def rest(self) -> list[ToolCallDelta]:
        """Calls that never got a name: they are told all the same, so that their failure is seen."""
        return [self._announce(call) for call in self._calls if not call.announced]

    def _announce(self, call: _Call) -> ToolCallDelta:
        call.announced = True
        taken = any(earlier.id == call.id for earlier in self._calls[: call.index])
        return ToolCallDelta(call.index, None if taken else call.id, call.name, "".join(call.pieces))

    def _call(self, place: Any, id: str | None, name: str | None) -> _Call:
        here = [call for call in self._calls if place is None or call.place == place]
        call = _continued(here, id, name)
        if call is None:
            call = _Call(len(self._calls), place, id)
            self._calls.append(call)
        return call


def _continued(here: list[_Call], id: str | None, name: str | None) -> _Call | None:
    """Which of the calls in one place the piece continues; None if it starts another."""
    if id is not None:
        same = [call for call in here if call.id == id] or [call for call in here if call.id is None]
        return same[-1] if same else None
    last = here[-1] if here else None
    if last is None or name is None or last.name is None:
        return last
    # A name without an id is either said again or starts the next call: the latter when the last call is whole.
    return None if name != last.name or last.is_complete() else last


def _text(arguments: Any) -> str:
    """Some servers send arguments as an object, or as null."""
    return arguments if isinstance(arguments, str) else "" if arguments is None else orjson.dumps(arguments).decode()


if __name__ == "__main__":
    pieces = ToolCallPieces()
    for sent in ({"index": 0, "id": "a", "function": {"name": "clock", "arguments": "{}"}}, {"index": 0, "id": "b"}):
        print(pieces.take(sent))
