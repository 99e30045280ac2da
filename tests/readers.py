"""A reader that comes and goes, and what must hold for whatever it was told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from ag_ui.core import Event as AguiEvent
from chat_server import SECONDS, ChatServer, Client
from pydantic import TypeAdapter
from reference_reducer import Mirror
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

Event = dict[str, Any]
agui = TypeAdapter(AguiEvent)


class Reader:
    """`attach` goes on from where it was; `mirror` is what it holds, `place` the last event id it has seen."""

    def __init__(self, ws_url: str, conversation_id: str) -> None:
        self._address = f"{ws_url}/ws/{conversation_id}"
        self.mirror, self.place, self.problems = Mirror(), "", list[str]()
        self.kinds: list[str] = []
        """The types of the events since it attached last."""
        self.closed_with: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()

    async def attach(self) -> None:
        """Start reading; returns once the server has accepted."""
        accepted = asyncio.Event()
        self.kinds = []
        self._reading = asyncio.create_task(self._read(accepted))
        waiting = asyncio.create_task(accepted.wait())
        async with asyncio.timeout(SECONDS):
            await asyncio.wait({waiting, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not accepted.is_set():
            self._reading.result()

    async def detach(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self._reading = None

    @property
    def attached(self) -> bool:
        return self._reading is not None

    async def until_place(self, place: str) -> None:
        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(lambda: self.place == place)

    async def until_closed(self) -> int:
        """Wait until the server closes; the close code."""
        assert self._reading
        async with asyncio.timeout(SECONDS):
            await asyncio.wait({self._reading})
        assert self.closed_with is not None
        return self.closed_with

    async def _read(self, accepted: asyncio.Event) -> None:
        query = f"?after={self.place}" if self.place else ""
        try:
            async with connect(self._address + query, max_size=None, compression=None) as socket:
                accepted.set()
                while True:
                    await self._take(orjson.loads(await socket.recv()))
        except ConnectionClosed as closed:
            self.closed_with = closed.rcvd.code if closed.rcvd else 1006

    async def _take(self, event: Event) -> None:
        place = event["metadata"]["eventId"]
        if not self.kinds and place.endswith("-snapshot"):
            self.problems += self.mirror.problems
            self.mirror = Mirror()
        self.kinds.append(event["type"])
        self.mirror.apply(event)
        self.place = place
        async with self._news:
            self._news.notify_all()


async def agrees_with_a_fresh_reader(server: ChatServer, tab: Client) -> None:
    async with server.client(tab.conversation_id) as fresh:
        assert (fresh.messages, fresh.state) == (tab.messages, tab.state)


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def reading(ws_url: str, conversation_id: str) -> AsyncIterator[Reader]:
    reader = Reader(ws_url, conversation_id)
    await reader.attach()
    yield reader
    await reader.detach()


def problems_in(events: list[Event]) -> list[str]:
    """What is wrong with a stream read from the first event on: bad events, order broken, a message answered twice."""
    problems, started, queue = list[str](), set[str](), list[dict[str, Any]]()
    for event in events:
        if event.get("name") not in ("command_accepted", "command_rejected"):
            agui.validate_python(event)
        if event["type"] == "STATE_SNAPSHOT":
            problems += _moved(queue, event["snapshot"]["queue"])
            queue = event["snapshot"]["queue"]
        if event["type"] == "RUN_STARTED":
            for message in event["input"]["messages"]:
                problems += [f"{message['id']} ran twice"] if message["id"] in started else []
                started.add(message["id"])
                problems += _out_of_turn(message, queue)
    return problems


def _out_of_turn(message: Event, queue: list[dict[str, Any]]) -> list[str]:
    first = next((waiting for waiting in queue if not waiting["held"]), None)
    if first is None or (first["id"], first["content"]) != (message["id"], message["content"]):
        return [f"{message} ran, and the queue was {queue}"]
    return []


def _moved(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    stayed = {waiting["id"] for waiting in before} & {waiting["id"] for waiting in after}
    orders = [[waiting["id"] for waiting in queue if waiting["id"] in stayed] for queue in (before, after)]
    return [] if orders[0] == orders[1] else [f"the queue was {orders[0]} and became {orders[1]}"]
