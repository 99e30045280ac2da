"""Ordered, replayable events in memory: one Channel per conversation, and one for the list of conversations.

A reader keeps no buffer of its own: it has a place in the channel's log. It attaches with a snapshot as of the last
run boundary and then reads on, so a slow one catches up from the log in fewer, larger deltas.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable

import orjson

from utils.server.events import Event

WINDOW = 1000
"""How many events before the run in progress are kept for readers that come back."""
MERGE_FROM = 16
"""A reader at least this many events behind gets adjacent deltas of one message as one; others get each by itself."""
DELTAS = {"TEXT_MESSAGE_CONTENT": "messageId", "REASONING_MESSAGE_CONTENT": "messageId", "TOOL_CALL_ARGS": "toolCallId"}


class Gone(Exception):
    """The channel was closed; `code` is the WebSocket close code that says why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Entry:
    """An event in the log: encoded once, when the first reader asks for it."""

    __slots__ = ("_text", "event", "id", "number")

    def __init__(self, number: int, event_id: str, event: Event) -> None:
        self.number, self.id, self.event = number, event_id, event
        self._text = ""

    @property
    def text(self) -> str:
        """The event as JSON, with its place as `metadata.eventId`."""
        if not self._text:
            metadata = self.event.get("metadata", {}) | {"eventId": self.id}
            # Not kept as bytes: orjson's take 4 kB, however short.
            self._text = orjson.dumps(self.event | {"metadata": metadata}).decode()
        return self._text


class Channel:
    """The events of one conversation in order. `snapshot()` gives the events that stand for all before `mark`."""

    def __init__(self, snapshot: Callable[[], list[Event]] = list) -> None:
        self._epoch = secrets.token_hex(4)
        self._log: list[Entry] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._places: dict[object, int] = {}
        self._closed: int | None = None
        self._snapshot = snapshot
        self._snapshot_events: list[Event] = []
        self._batch: list[Entry] = []
        self._batch_of = (0, 0)
        self.last = 0
        self.boundary = 0

    @property
    def closed(self) -> bool:
        return self._closed is not None

    @property
    def readers(self) -> int:
        return len(self._places)

    @property
    def place(self) -> str:
        """The id of the last event: reading after it gives what comes from now on."""
        return f"{self._epoch}-{self.last}"

    def publish(self, event: Event) -> None:
        """Put an event at the end, for every reader."""
        self.last += 1
        self._log.append(Entry(self.last, f"{self._epoch}-{self.last}", event))
        self._wake()

    def mark(self) -> None:
        """What has been published so far is stored: from now on a new reader's snapshot stands for it."""
        self.boundary = self.last
        self._snapshot_events = self._snapshot()
        self._trim()

    def close(self, code: int) -> None:
        """End every reader with Gone(code)."""
        self._closed = code
        self._wake()

    async def read(self, after: str | None = None) -> AsyncGenerator[list[Entry], None]:
        """Batches of entries: from `after` when it is still held, else the snapshot first. Ends with Gone."""
        reader = object()
        place = self._place_of(after)
        try:
            while True:
                batch = None if place is None else self._since(place)
                if place is None or batch is None:
                    place = self._places[reader] = self.boundary
                    yield self._snapshot_entries()
                elif batch:
                    place = self._places[reader] = batch[-1].number
                    self._trim()
                    yield batch
                elif self._closed is not None:
                    raise Gone(self._closed)
                else:
                    self._places[reader] = place
                    await self._news()
        finally:
            self._places.pop(reader, None)

    def _snapshot_entries(self) -> list[Entry]:
        """The last event carries the place; the ids of those before it are unknown on return, so all are sent again."""
        place = f"{self._epoch}-{self.boundary}"
        events = self._snapshot_events
        ids = [f"{place}-snapshot"] * (len(events) - 1) + [place]
        return [Entry(self.boundary, event_id, event) for event_id, event in zip(ids, events, strict=False)]

    def _trim(self) -> None:
        """Forget what is stored and was read by every reader, but for a window."""
        if len(self._log) <= WINDOW or self._log[0].number > self.boundary:
            return
        done = min(self.boundary, *self._places.values()) if self._places else self.boundary
        del self._log[: max(0, min(len(self._log) - WINDOW, done + 1 - self._first))]

    def _place_of(self, event_id: str | None) -> int | None:
        epoch, _, number = (event_id or "").rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 16):
            return None
        place = int(number)
        return place if self._first - 1 <= place <= self.last else None

    @property
    def _first(self) -> int:
        return self._log[0].number if self._log else self.last + 1

    def _since(self, place: int) -> list[Entry] | None:
        """The entries after `place`, deltas joined if there are many; None if some are no longer held.

        Whoever has the same place gets the same entries, encoded once.
        """
        if place < self._first - 1:
            return None
        if place == self.last:
            return []
        if self._batch_of != (place, self.last):
            batch = self._log[place - self.last :]
            self._batch_of, self._batch = (place, self.last), batch if len(batch) < MERGE_FROM else _merge(batch)
        return self._batch

    async def _news(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()


def _merge(batch: list[Entry]) -> list[Entry]:
    """Join adjacent deltas of one message; the joined event takes the last one's place."""
    merged: list[Entry] = []
    pieces: list[str] = []
    for entry, following in zip(batch, [*batch[1:], None], strict=True):
        pieces.append(entry.event.get("delta", ""))
        if following is not None and _continues(entry.event, following.event):
            continue
        if len(pieces) > 1:
            entry = Entry(entry.number, entry.id, entry.event | {"delta": "".join(pieces)})
        merged.append(entry)
        pieces = []
    return merged


def _continues(event: Event, following: Event) -> bool:
    key = DELTAS.get(event["type"])
    return key is not None and event["type"] == following["type"] and event[key] == following[key]


if __name__ == "__main__":

    async def trial() -> None:
        channel = Channel()
        channel.publish({"type": "CUSTOM", "name": "hello", "value": 1})
        async for batch in channel.read():
            print([entry.text for entry in batch])
            if batch:
                break

    asyncio.run(trial())
