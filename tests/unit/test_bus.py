"""The channel: where readers start, what they may miss (nothing), how far back it remembers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from utils.server import bus
from utils.server.bus import Channel, Entry, Gone
from utils.server.events import Event


class Source:
    """A channel whose snapshot is the number of things said until then."""

    def __init__(self) -> None:
        self.said = 0
        self.channel = Channel(lambda: [{"type": "MESSAGES_SNAPSHOT"}, {"type": "STATE_SNAPSHOT", "said": self.said}])
        self.channel.mark()

    def say(self, count: int = 1, kind: str = "CUSTOM", **fields: Any) -> None:
        for _ in range(count):
            self.said += 1
            self.channel.publish({"type": kind, "number": self.said, **fields})

    def write(self, message: str, *deltas: str) -> None:
        for delta in deltas:
            self.channel.publish({"type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": delta})


async def read(channel: Channel, after: str | None = None) -> list[Entry]:
    """All that a reader gets now."""
    entries: list[Entry] = []
    async with aclosing(channel.read(after)) as batches:
        while not entries or entries[-1].number < channel.last:
            async with asyncio.timeout(10):
                entries += await anext(batches)
    return entries


def events_of(entries: list[Entry]) -> list[Event]:
    return [entry.event for entry in entries]


async def test_a_new_reader_gets_the_snapshot_of_the_boundary_and_all_since() -> None:
    source = Source()
    source.say(3)
    source.channel.mark()
    source.say(2)
    snapshot, state, *rest = events_of(await read(source.channel))
    assert (snapshot["type"], state["said"]) == ("MESSAGES_SNAPSHOT", 3)
    assert [event["number"] for event in rest] == [4, 5]


async def test_who_comes_back_gets_only_what_came_since() -> None:
    source = Source()
    source.say(2)
    place = (await read(source.channel))[-1].id
    source.say(2)
    source.channel.mark()
    source.say(1)
    assert [event["number"] for event in events_of(await read(source.channel, place))] == [3, 4, 5]


async def test_the_first_of_two_snapshots_is_no_place_to_come_back_to() -> None:
    source = Source()
    source.say(1)
    source.channel.mark()
    first, second = await read(source.channel)
    assert [entry.event["type"] for entry in await read(source.channel, first.id)] == [
        "MESSAGES_SNAPSHOT",
        "STATE_SNAPSHOT",
    ]
    source.say(1)
    assert len(await read(source.channel, second.id)) == 1


@pytest.mark.parametrize("place", ["", "x", "-", "x-1", *("{epoch}-" + number for number in ("", "x", "9", "-1", "²"))])
async def test_a_place_that_is_none_gets_snapshots(place: str) -> None:
    source = Source()
    source.say(2)
    epoch = (await read(source.channel))[-1].id.split("-")[0]
    assert events_of(await read(source.channel, place.format(epoch=epoch)))[0]["type"] == "MESSAGES_SNAPSHOT"


async def test_a_place_from_before_a_restart_is_known_as_old() -> None:
    before, after = Source(), Source()
    before.say(3)
    after.say(3)
    place = (await read(before.channel))[-1].id
    assert events_of(await read(after.channel, place))[0]["type"] == "MESSAGES_SNAPSHOT"


async def test_a_reader_far_behind_gets_fewer_larger_deltas() -> None:
    source = Source()
    source.write("a", *"Hello")
    source.say(1)
    source.write("a", *(" there" * 20))
    source.write("b", *("!" * 50))
    entries = (await read(source.channel))[2:]
    assert [entry.event.get("delta") for entry in entries] == ["Hello", None, " there" * 20, "!" * 50]
    assert [entry.number for entry in entries] == [5, 6, 126, 176]
    assert '"delta":"Hello"' in entries[0].text


async def test_the_place_of_a_joined_delta_is_that_of_its_last_piece() -> None:
    source = Source()
    source.write("a", *"0123456789" * 5)
    joined = (await read(source.channel))[-1]
    source.write("a", "next")
    assert [event["delta"] for event in events_of(await read(source.channel, joined.id))] == ["next"]


async def test_a_reader_that_keeps_up_gets_every_delta() -> None:
    source, deltas = Source(), []
    async with aclosing(source.channel.read()) as batches:
        await anext(batches)
        for digit in "0123456789":
            source.write("a", digit)
            deltas += [event["delta"] for event in events_of(await anext(batches))]
    assert deltas == [*"0123456789"]


async def test_readers_at_one_place_share_one_batch() -> None:
    source = Source()
    async with aclosing(source.channel.read()) as one, aclosing(source.channel.read()) as another:
        await anext(one)
        await anext(another)
        source.write("a", *"Hello")
        assert await anext(one) is await anext(another)


class Taking:
    """A reader that can be handed an entry at once, and what it got so and otherwise."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.willing = True
        self.at_once: list[Event] = []
        self.later: list[Event] = []

    def take(self, entry: Entry) -> bool:
        if self.willing:
            self.at_once.append(entry.event)
        return self.willing

    async def read(self) -> None:
        async for batch in self.source.channel.read(self.source.channel.place, self.take):
            self.later += events_of(batch)

    def numbers(self) -> tuple[list[int], list[int]]:
        return [event["number"] for event in self.at_once], [event["number"] for event in self.later]


@pytest.fixture
async def taking() -> AsyncIterator[Taking]:
    taking = Taking(Source())
    task = asyncio.create_task(taking.read())
    await asyncio.sleep(0)
    yield taking
    task.cancel()
    await asyncio.wait({task})


async def turns() -> None:
    """Long enough for whoever was woken."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_waits_is_handed_an_event_by_publish_itself(taking: Taking) -> None:
    for number in (1, 2):
        taking.source.say(1)
        assert len(taking.at_once) == number
        await turns()
    assert taking.numbers() == ([1, 2], [])


async def test_what_follows_in_the_same_turn_is_a_burst_and_leaves_together(taking: Taking) -> None:
    taking.source.say(3)
    assert taking.numbers() == ([1], [])
    await turns()
    taking.source.say(1)
    await turns()
    assert taking.numbers() == ([1, 4], [2, 3])


async def test_what_is_not_taken_at_once_comes_in_its_place(taking: Taking) -> None:
    taking.source.say(1)
    await turns()
    taking.willing = False
    taking.source.say(1)
    taking.willing = True
    taking.source.say(1)
    await turns()
    taking.source.say(1)
    assert taking.numbers() == ([1, 4], [2, 3])


async def test_what_is_stored_is_forgotten_but_for_a_window() -> None:
    source = Source()
    for _ in range(50):
        source.say(bus.WINDOW // 10)
        source.channel.mark()
    entries = await read(source.channel, f"{(await read(source.channel))[-1].id.split('-')[0]}-{source.said - 900}")
    assert len(entries) == 900
    assert len(source.channel._log) == bus.WINDOW


async def test_a_run_is_kept_whole_until_it_is_stored() -> None:
    source = Source()
    source.say(bus.WINDOW * 3)
    assert len(await read(source.channel)) == bus.WINDOW * 3 + 2
    source.channel.mark()
    assert len(source.channel._log) == bus.WINDOW


async def test_who_was_away_for_longer_than_the_window_gets_snapshots() -> None:
    source = Source()
    source.say(1)
    place = (await read(source.channel))[-1].id
    source.say(bus.WINDOW * 2)
    source.channel.mark()
    assert [event["type"] for event in events_of(await read(source.channel, place))] == [
        "MESSAGES_SNAPSHOT",
        "STATE_SNAPSHOT",
    ]


async def test_a_slow_reader_misses_nothing_while_the_window_moves_on() -> None:
    source = Source()
    source.say(1)
    async with aclosing(source.channel.read()) as batches:
        numbers = [event["number"] for event in events_of((await anext(batches)) + (await anext(batches)))[2:]]
        for _ in range(5):
            source.say(bus.WINDOW)
            source.channel.mark()
        while numbers[-1] < source.said:
            numbers += [event["number"] for event in events_of(await anext(batches))]
        source.say(1)
        numbers += [event["number"] for event in events_of(await anext(batches))]
    assert numbers == list(range(1, source.said + 1))
    source.channel.mark()
    assert len(source.channel._log) == bus.WINDOW


async def test_catching_up_with_a_long_answer_does_not_hold_up_the_others() -> None:
    source = Source()
    source.write("a", *("x" * 200_000))
    began = time.monotonic()
    assert len(await read(source.channel)) == 3
    assert time.monotonic() - began < 2


async def test_everyone_hears_the_end_before_the_channel_closes() -> None:
    source = Source()
    async with aclosing(source.channel.read()) as batches:
        await anext(batches)
        source.say(1)
        source.channel.close(4404)
        assert events_of(await anext(batches))[0]["number"] == 1
        with pytest.raises(Gone) as gone:
            await anext(batches)
        assert gone.value.code == 4404


async def test_a_reader_that_goes_leaves_nothing_behind() -> None:
    source = Source()
    reader = source.channel.read()
    await anext(reader)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert source.channel.readers == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await reader.aclose()
    assert source.channel.readers == 0
    assert source.channel._waiting == set()
