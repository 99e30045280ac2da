"""The whole comparison: rounds in which every server is started, measured and stopped in turn."""

import logging
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import growth, load, servers
from tests.benchmarks.servers import Process
from tests.benchmarks.table import Results

log = logging.getLogger("benchmarks")


@dataclass(frozen=True)
class Effort:
    """How much is done. The default takes about four minutes and needs an otherwise quiet machine."""

    rounds: int = 4
    seconds: float = 2.5
    questions: int = 60
    flood_chunks: int = 2500
    sockets: int = 1000
    conversations: int = 10_000
    messages: int = 1000
    watched_chunks: int = 200


async def measure(effort: Effort) -> Results:
    """Every row of every round, by server."""
    results: Results = {"relay": {}, "obvious": {}, "this": {}}
    async with servers.provider() as provider:
        for number in range(effort.rounds):
            for name in list(results)[:: -1 if number % 2 else 1]:
                log.info("round %d of %d: %s", number + 1, effort.rounds, name)
                with tempfile.TemporaryDirectory() as folder:
                    async with _start(name, provider.port, Path(folder)) as server:
                        _add(results[name], await _one(server, effort))
        log.info("what must not grow")
        _add(results["this"], await _growth(provider.port, effort))
    return results


def _start(name: str, provider_port: int, folder: Path) -> AbstractAsyncContextManager[Process]:
    starts: dict[str, Callable[[], AbstractAsyncContextManager[Process]]] = {
        "relay": lambda: servers.relay(provider_port),
        "obvious": lambda: servers.obvious(provider_port),
        "this": lambda: servers.ours(provider_port, folder),
    }
    return starts[name]()


async def _one(server: Process, effort: Effort) -> load.Sample:
    sample = {"start to first page, s": server.start_seconds, "memory at first page, MB": server.memory() / 1e6}
    await server.rest()
    sample |= await load.idle_sockets(server, effort.sockets)
    sample |= await load.short_questions(server, effort.questions)
    sample |= await load.steady(server, 20, 50, effort.seconds)
    sample |= await load.steady(server, 100, 20, effort.seconds)
    return sample | await load.flooded(server, 20, effort.flood_chunks)


async def _growth(provider_port: int, effort: Effort) -> load.Sample:
    with tempfile.TemporaryDirectory() as folder:
        async with servers.ours(provider_port, Path(folder)):
            pass  # makes the tables
        growth.fill(Path(folder), effort.conversations, effort.messages)
        async with servers.ours(provider_port, Path(folder)) as server:
            await server.rest()
            sample = await growth.long_conversation(server, effort.questions)
            sample |= await growth.pages(server, effort.questions)
            return sample | await growth.many_readers(server, 10, effort.watched_chunks)


def _add(rows: dict[str, list[float]], sample: load.Sample) -> None:
    for row, value in sample.items():
        rows.setdefault(row, []).append(value)
