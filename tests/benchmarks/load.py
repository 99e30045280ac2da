"""What is done to every server alike, in rounds: each function returns what one round measured, by the row's name."""

import asyncio
import time
from statistics import median, quantiles

from tests.benchmarks.client import Reader, connect
from tests.benchmarks.servers import Process

Sample = dict[str, float]


async def open_many(server: Process, count: int) -> list[Reader]:
    return list(await asyncio.gather(*(connect(server.port, server.end) for _ in range(count))))


async def ask_all(readers: list[Reader], chunks: int, rate: int) -> None:
    for reader in readers:
        reader.ask(chunks, rate)
    await asyncio.gather(*(reader.done for reader in readers))


async def steady(server: Process, answers: int, rate: int, seconds: float) -> Sample:
    """Added latency and processor time while `answers` stream at `rate` chunks a second each.

    Measured from the moment when all of them stream: what a question costs is a row of its own.
    """
    readers = await open_many(server, answers)
    for reader in readers:
        reader.ask(int(rate * seconds * 1.5) + 2, rate)
    await asyncio.gather(*(reader.first for reader in readers))
    await asyncio.sleep(seconds / 5)
    before, begun = server.cpu(), [len(reader.delays) for reader in readers]
    await asyncio.sleep(seconds)
    used = server.cpu() - before
    delays = [delay / 1e6 for reader, start in zip(readers, begun, strict=True) for delay in reader.delays[start:]]
    await asyncio.gather(*(reader.done for reader in readers))
    for reader in readers:
        reader.close()
    return {
        f"latency {answers} x {rate}, median ms": median(delays),
        f"latency {answers} x {rate}, p99 ms": quantiles(delays, n=100)[98],
        f"CPU per 100,000 chunks at {answers} x {rate}, s": used / len(delays) * 100_000,
    }


async def flooded(server: Process, answers: int, chunks: int) -> Sample:
    """How many chunks a second come through, in order and once, when the provider sends as fast as it can."""
    readers = await open_many(server, answers)
    await ask_all(readers, 2, 0)
    await server.rest()
    before, started = server.cpu(), time.perf_counter()
    await ask_all(readers, chunks, 0)
    seconds, used = time.perf_counter() - started, server.cpu() - before
    for reader in readers:
        reader.close()
    total = answers * chunks
    return {"flood, chunks/s": total / seconds, "CPU per 100,000 chunks of a flood, s": used / total * 100_000}


async def short_questions(server: Process, count: int) -> Sample:
    """One after the other in one conversation, answered by two chunks."""
    reader = (await open_many(server, 1))[0]
    await ask_all([reader], 2, 0)
    await server.rest()
    before, firsts = server.cpu(), []
    for _ in range(count):
        started = time.monotonic_ns()
        reader.ask(2, 0)
        await reader.first
        firsts.append((time.monotonic_ns() - started) / 1e6)
        await reader.done
    used = server.cpu() - before
    reader.close()
    return {"first piece after sending, ms": median(firsts), "CPU per short question, ms": used / count * 1000}


async def idle_sockets(server: Process, count: int) -> Sample:
    """Memory beyond the first socket's, which pays for what is loaded with it."""
    first = await open_many(server, 1)
    await server.rest()
    before = server.memory()
    readers = await open_many(server, count)
    await server.rest()
    grown = server.memory() - before
    for reader in first + readers:
        reader.close()
    await server.rest()
    return {"memory per idle socket, kB": grown / count / 1000}
