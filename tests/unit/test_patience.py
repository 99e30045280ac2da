"""How long an answer may take to begin and to go on, and what counts as going on."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from mock_provider import MockProvider, Reply

from utils.llm.patience import Patience
from utils.stream_llm import Delta, Finish, Model, ModelError, TextDelta, Timeouts, complete, stream_llm

HELLO = [{"role": "user", "content": "Hello"}]
SOON = 20.0


def ask(provider: MockProvider, timeouts: Timeouts) -> AsyncGenerator[Delta, None]:
    return stream_llm(HELLO, model=Model("mock", provider.url), timeouts=timeouts)


async def failure(provider: MockProvider, timeouts: Timeouts) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await asyncio.wait_for(complete(HELLO, model=Model("mock", provider.url), timeouts=timeouts), SOON)
    return caught.value


async def pings(request: dict[str, Any], reply: Reply) -> None:
    while not reply.closed.is_set():
        await reply.chunk(b": ping\n\n")
        await reply.delta()
        await reply.delta(content="")
        await asyncio.sleep(0.01)


async def silence(request: dict[str, Any], reply: Reply) -> None:
    await reply.closed.wait()


@pytest.mark.parametrize("script", [silence, pings])
async def test_nothing_but_pings_is_no_first_token(provider: MockProvider, script: Any) -> None:
    provider.script = script
    failed = await failure(provider, Timeouts(first_token=0.3))
    assert failed.code == "timeout"
    assert "0.3 seconds" in failed.message


@pytest.mark.parametrize("then", [silence, pings])
async def test_an_answer_that_stops_moving_has_stalled(provider: MockProvider, then: Any) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Once upon")
        await then(request, reply)

    provider.script = script
    failed = await failure(provider, Timeouts(stall=0.3))
    assert failed.code == "stall"


async def test_a_slow_reader_is_no_stall(provider: MockProvider) -> None:
    go_on = asyncio.Event()

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Once ")
        await go_on.wait()
        await reply.text("upon")
        await reply.finish()

    provider.script = script
    read = ""
    async for delta in ask(provider, Timeouts(first_token=0.2, stall=0.2)):
        read += delta.text if isinstance(delta, TextDelta) else ""
        if delta == TextDelta("Once "):
            await asyncio.sleep(1)
            go_on.set()
    assert read == "Once upon"


async def test_an_answer_that_has_finished_is_not_held_up_by_an_open_connection(
    provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("All of it")
        await reply.chunk({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        await reply.closed.wait()

    provider.script = script
    monkeypatch.setattr("utils.llm.connection.GRACE", 0.1)
    assert [delta async for delta in ask(provider, Timeouts())] == [TextDelta("All of it"), Finish("stop")]


async def test_a_stop_after_the_time_was_over_is_still_a_stop() -> None:
    patience = Patience(0.01)
    with pytest.raises(TimeoutError), patience:
        await asyncio.sleep(SOON)

    async def go_on() -> None:
        with patience:
            await asyncio.sleep(SOON)

    task = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    patience.close()
