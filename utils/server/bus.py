"""Ordered, replayable events in memory: one Channel per conversation, and one for the list of conversations.

A reader keeps no buffer of its own: it has a place in the channel's log. It attaches with a snapshot as of the last
run boundary and then reads on, so a slow one catches up from the log in fewer, larger deltas. To one that has read
everything an event can be handed straight from `publish`, a turn of the event loop before its task would wake.
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


class Reader:
    """A place in the log. In `Channel._waiting` while it has read everything; then `news` wakes it."""

    __slots__ = ("at_once", "news", "place")

    def __init__(self, place: int, at_once: Callable[[Entry], bool] | None) -> None:
        self.place, self.at_once = place, at_once
        self.news: asyncio.Future[None]


class Channel:
    """The events of one conversation in order. `snapshot()` gives the events that stand for all before `mark`."""

    def __init__(self, snapshot: Callable[[], list[Event]] = list) -> None:
        self._epoch = secrets.token_hex(4)
        self._log: list[Entry] = []
        self._readers: set[Reader] = set()
        self._waiting: set[Reader] = set()
        self._burst = False
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
        return len(self._readers)

    @property
    def place(self) -> str:
        """The id of the last event: reading after it gives what comes from now on."""
        return f"{self._epoch}-{self.last}"

    def publish(self, event: Event) -> None:
        """Put an event at the end, for every reader."""
        self.last += 1
        entry = Entry(self.last, f"{self._epoch}-{self.last}", event)
        self._log.append(entry)
        if self._waiting:
            self._hand_out(entry)

    def _hand_out(self, entry: Entry) -> None:
        """The first event of a turn of the event loop goes straight out; more are a burst and leave together."""
        if not self._burst:
            self._burst = True
            asyncio.get_running_loop().call_soon(self._end_burst)
            for reader in self._waiting:
                if reader.at_once and reader.at_once(entry):
                    reader.place = entry.number
        self._wake()

    def _end_burst(self) -> None:
        self._burst = False

    def mark(self) -> None:
        """What has been published so far is stored: from now on a new reader's snapshot stands for it."""
        self.boundary = self.last
        self._snapshot_events = self._snapshot()
        self._trim()

    def close(self, code: int) -> None:
        """End every reader with Gone(code)."""
        self._closed = code
        self._wake()

    async def read(
        self, after: str | None = None, at_once: Callable[[Entry], bool] | None = None
    ) -> AsyncGenerator[list[Entry], None]:
        """Batches of entries: from `after` when it is still held, else the snapshot first. Ends with Gone.

        `at_once(entry)` is called by `publish` while the reader waits for news: True if that was the reading of it.
        """
        place = self._place_of(after)
        reader = Reader(self.boundary if place is None else place, at_once)
        self._readers.add(reader)
        try:
            if place is None:
                yield self._snapshot_entries()
            while True:
                batch = self._since(reader.place)
                if batch is None:
                    reader.place = self.boundary
                    yield self._snapshot_entries()
                elif batch:
                    reader.place = batch[-1].number
                    self._trim()
                    yield batch
                elif self._closed is not None:
                    raise Gone(self._closed)
                else:
                    await self._news(reader)
        finally:
            self._readers.discard(reader)

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
        done = min([self.boundary, *(reader.place for reader in self._readers)])
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

    async def _news(self, reader: Reader) -> None:
        """Wait until there is something that the reader was not handed at once."""
        reader.news = asyncio.get_running_loop().create_future()
        self._waiting.add(reader)
        try:
            await reader.news
        finally:
            self._waiting.discard(reader)

    def _wake(self) -> None:
        """Those who have not read everything, or never will."""
        for reader in [reader for reader in self._waiting if reader.place < self.last or self.closed]:
            self._waiting.discard(reader)
            if not reader.news.done():
                reader.news.set_result(None)


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
