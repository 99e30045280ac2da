"""What must not grow: with the length of a conversation, the length of the list, and the number of readers."""

import asyncio
import sqlite3
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from tests.benchmarks.client import Reader, connect
from tests.benchmarks.load import Sample, ask_all
from tests.benchmarks.servers import Process


def fill(data_dir: Path, conversations: int, messages: int) -> None:
    """Put finished conversations into a store whose server has stopped: `seed-0` has `messages`, the others two."""
    database = sqlite3.connect(data_dir / "chat.sqlite3")
    columns = "(id, title, agent, version, updated_at)"
    rows = [(f"seed-{n}", f"Conversation {n}", "assistant", 1, 1_000_000_000_000 + n) for n in range(conversations)]
    database.executemany(f"INSERT INTO conversations {columns} VALUES (?, ?, ?, ?, ?)", rows)
    for row in rows:
        _add_messages(database, row[0], messages if row[0] == "seed-0" else 2)
    database.commit()
    database.close()


def _add_messages(database: sqlite3.Connection, conversation_id: str, count: int) -> None:
    for number in range(count):
        role = "assistant" if number % 2 else "user"
        text = f"This is what message {number} says, as long as most are."
        body = {"id": f"m-{number}", "role": role, "content": text, "metadata": {"status": "complete"}}
        row = (conversation_id, number, body["id"], role, text, orjson.dumps(body | {"name": "assistant"}).decode())
        database.execute(
            "INSERT INTO messages (conversation_id, position, id, role, text, body) VALUES (?, ?, ?, ?, ?, ?)", row
        )


async def long_conversation(server: Process, count: int) -> Sample:
    """A question in a conversation of ten messages and in the long one, in turn."""
    readers = [await connect(server.port, server.end, f"/ws/seed-{n}") for n in (1, 0)]
    for reader in readers:
        await ask_all([reader], 2, 0)
    used: list[list[float]] = [[], []]
    for _ in range(count):
        for reader, samples in zip(readers, used, strict=True):
            samples.append(await _cpu_of(server, reader))
    for reader in readers:
        reader.close()
    return {"CPU of the 1,000th message against the 10th": median(used[1]) / median(used[0])}


async def _cpu_of(server: Process, reader: Reader) -> float:
    before = server.cpu()
    await ask_all([reader], 2, 0)
    await asyncio.sleep(0.01)  # what the server does after the last event is part of it
    return (server.cpu() - before) * 1000


async def pages(server: Process, count: int) -> Sample:
    """The list's first page and its last one."""
    address = f"http://127.0.0.1:{server.port}/api/conversations?limit=20"
    first: list[float] = []
    last: list[float] = []
    for _ in range(count):
        for url, samples in ((address, first), (f"{address}&before=1000000000010~seed-10", last)):
            before = server.cpu()
            await asyncio.to_thread(_fetch, url)
            samples.append((server.cpu() - before) * 1000)
    return {"CPU of the list's last page of 10,000 against its first": median(last) / median(first)}


async def many_readers(server: Process, readers: int, chunks: int) -> Sample:
    """One conversation watched by one and by `readers`: processor time of an answer that streams and of a flood."""
    sample: Sample = {}
    for row, length, rate in (("streaming", chunks, 50), ("flood", chunks * 50, 0)):
        one = await _watched(server, 1, length, rate)
        sample[f"CPU of {readers} readers against one, {row}"] = await _watched(server, readers, length, rate) / one
    return sample


async def _watched(server: Process, count: int, chunks: int, rate: int) -> float:
    created = await asyncio.to_thread(_fetch, f"http://127.0.0.1:{server.port}/api/conversations", b"{}")
    path = f"/ws/{created['id']}"
    watching = [await connect(server.port, server.end, path) for _ in range(count)]
    await ask_all(watching[:1], 2, 0)
    await server.rest()
    for reader in watching[1:]:
        reader.expect(chunks)
    before = server.cpu()
    watching[0].ask(chunks, rate)
    await asyncio.gather(*(reader.done for reader in watching))
    used = server.cpu() - before
    for reader in watching:
        reader.close()
    return used


def _fetch(url: str, body: bytes | None = None) -> Any:
    """What a GET, or with a body a POST, answers."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return orjson.loads(response.read())
