"""Stop: cancelling whoever reads an answer closes the provider's socket, at whatever moment."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from mock_provider import MockProvider, Reply

from utils.stream_llm import Delta, Model, ModelError, Retry, Timeouts, close_clients, complete, stream_llm

HELLO = [{"role": "user", "content": "Hello"}]
SOON = 20.0
"""Seconds that nothing here takes, on the slowest machine."""


def ask(provider: MockProvider) -> AsyncGenerator[Delta, None]:
    return stream_llm(HELLO, model=Model("mock", provider.url))


class Waiting:
    """A script that says these words, then nothing, until it sees its socket closed."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.asked = asyncio.Event()
        self.closed: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        self.asked.set()
        if self.words:
            await reply.text(*self.words)
        await reply.closed.wait()
        self.closed.set_result(time.perf_counter())


@pytest.mark.parametrize("words", [(), ("Once ", "upon ")], ids=["before the first byte", "in the middle"])
async def test_cancelling_the_reader_closes_the_providers_socket(
    provider: MockProvider, words: tuple[str, ...]
) -> None:
    took = []
    for _ in range(10):
        provider.script = waiting = Waiting(*words)
        deltas: asyncio.Queue[Delta] = asyncio.Queue()
        reader = asyncio.create_task(forward(ask(provider), deltas))
        await asyncio.wait_for(waiting.asked.wait(), SOON)
        for _ in words:
            await asyncio.wait_for(deltas.get(), SOON)
        stopped = time.perf_counter()
        reader.cancel()
        took.append(await asyncio.wait_for(waiting.closed, SOON) - stopped)
        with pytest.raises(asyncio.CancelledError):
            await reader
    assert sorted(took)[5] < 0.05


async def test_closing_the_generator_closes_the_providers_socket(provider: MockProvider) -> None:
    provider.script = waiting = Waiting("Once ")
    deltas = ask(provider)
    await anext(deltas)
    stopped = time.perf_counter()
    await deltas.aclose()
    assert await asyncio.wait_for(waiting.closed, SOON) - stopped < 1


async def test_cancelling_at_any_moment_leaves_no_connection_open(provider: MockProvider) -> None:
    replies: list[Reply] = []

    async def script(request: dict[str, Any], reply: Reply) -> None:
        replies.append(reply)
        while not reply.closed.is_set():
            await reply.text("word ")
            await asyncio.sleep(0)

    await complete(HELLO, model=Model("mock", provider.url))
    provider.script = script
    for steps in range(80):
        await answer_for_a_moment(provider, steps)
    assert len(replies) > 20
    async with asyncio.timeout(SOON):
        for reply in replies:
            await reply.closed.wait()


async def answer_for_a_moment(provider: MockProvider, steps: int) -> None:
    """Reads an answer for so many turns of the event loop, then stops."""
    reader = asyncio.create_task(forward(ask(provider), asyncio.Queue()))
    for _ in range(steps):
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_stop_ends_the_wait_for_a_retry(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(429, "Slow down", {"retry-after": "29"})

    provider.script = script
    deltas: asyncio.Queue[Delta] = asyncio.Queue()
    reader = asyncio.create_task(forward(ask(provider), deltas))
    assert isinstance(await asyncio.wait_for(deltas.get(), SOON), Retry)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reader, SOON)


@pytest.fixture
def unanswered() -> Iterator[str]:
    """An address where connecting hangs: a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


async def test_stop_while_connecting(unanswered: str) -> None:
    reader = asyncio.create_task(complete(HELLO, model=Model("mock", unanswered)))
    done, _ = await asyncio.wait([reader], timeout=0.5)
    assert not done
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reader, 5)
    await close_clients()


async def test_connecting_takes_too_long(unanswered: str) -> None:
    deltas: asyncio.Queue[Delta] = asyncio.Queue()
    asked = stream_llm(HELLO, model=Model("mock", unanswered), timeouts=Timeouts(connect=0.2))
    with pytest.raises(ModelError, match="No answer from 127") as failed:
        await asyncio.wait_for(forward(asked, deltas), SOON)
    assert failed.value.code == "connection"
    assert deltas.qsize() == 2
    await close_clients()


async def forward(deltas: AsyncGenerator[Delta, None], queue: "asyncio.Queue[Delta]") -> None:
    async for delta in deltas:
        queue.put_nowait(delta)
