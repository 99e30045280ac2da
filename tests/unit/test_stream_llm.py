"""Asking a model: what is sent, what Stop does, when it is asked again, how long is waited."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from mock_provider import MockProvider, Reply, hello

from utils import demo_model
from utils.stream_llm import (
    Delta,
    Finish,
    Model,
    ModelError,
    ReasoningDelta,
    Retry,
    TextDelta,
    Usage,
    close_clients,
    complete,
    stream_llm,
    warm,
)

HELLO = [{"role": "user", "content": "Hello"}]
KEY = "sk-secret-key-123"
SOON = 20.0
"""Seconds that nothing here takes, on the slowest machine."""


def ask(provider: MockProvider, **options: Any) -> AsyncGenerator[Delta, None]:
    return stream_llm(HELLO, model=Model("mock", provider.url, KEY), **options)


async def answer(provider: MockProvider, **options: Any) -> list[Delta]:
    async with asyncio.timeout(SOON):
        return [delta async for delta in ask(provider, **options)]


async def failure(provider: MockProvider, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await answer(provider, **options)
    return caught.value


async def forward(deltas: AsyncGenerator[Delta, None], queue: "asyncio.Queue[Delta]") -> None:
    async for delta in deltas:
        queue.put_nowait(delta)


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_every_word_is_a_delta_then_usage_and_the_finish(provider: MockProvider) -> None:
    words = [TextDelta(word) for word in ("Hello ", "from ", "the ", "mock ", "provider.")]
    assert await answer(provider) == [*words, Usage(12, 34), Finish("stop")]


async def test_a_delta_is_yielded_before_the_next_one_is_sent(provider: MockProvider) -> None:
    read = asyncio.Event()

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("first")
        await read.wait()
        await reply.text("second")
        await reply.finish()

    provider.script = script
    async with asyncio.timeout(SOON):
        async for delta in ask(provider):
            if delta == TextDelta("first"):
                read.set()


async def test_the_request_carries_messages_tools_key_and_extras(provider: MockProvider) -> None:
    keys = []

    async def script(request: dict[str, Any], reply: Reply) -> None:
        keys.append(reply.request_headers["authorization"])
        await reply.finish()

    provider.script = script
    tools = [{"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}]
    await answer(provider, tools=tools, temperature=0.5)
    await answer(provider)
    with_tools, without = provider.requests
    assert with_tools["messages"] == HELLO
    assert (with_tools["model"], with_tools["stream"], with_tools["temperature"]) == ("mock", True, 0.5)
    assert with_tools["tools"] == tools
    assert "tools" not in without
    assert keys == [f"Bearer {KEY}"] * 2


async def test_a_server_that_needs_no_key_is_asked_without_one(provider: MockProvider) -> None:
    assert await complete(HELLO, model=Model("mock", provider.url)) == "Hello from the mock provider."


async def test_one_connection_serves_one_answer_after_another(provider: MockProvider) -> None:
    for _ in range(3):
        await answer(provider)
    assert (len(provider.requests), provider.connections) == (3, 1)


@pytest.mark.parametrize("hang_up", [Reply.abort, Reply.drop])
async def test_a_kept_connection_that_the_server_has_closed_is_replaced_at_once(
    provider: MockProvider, hang_up: Callable[[Reply], Awaitable[None]]
) -> None:
    """llama.cpp closes it after every streamed answer without having said so: a race that the next request may lose."""

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await (hang_up(reply) if len(provider.requests) == 2 else hello(request, reply))

    provider.script = script
    first, second = await answer(provider), await answer(provider)
    assert second == first  # and no Retry in it
    assert len(provider.requests) == 3


async def test_many_answers_at_once_do_not_mix(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        for _ in range(50):
            await reply.text(request["messages"][0]["content"])
            await asyncio.sleep(0)
        await reply.finish()

    provider.script = script
    model = Model("mock", provider.url)
    questions = [f"<{number}>" for number in range(20)]
    answers = await asyncio.gather(*(complete([{"role": "user", "content": it}], model=model) for it in questions))
    assert answers == [question * 50 for question in questions]


async def test_usage_is_not_asked_for_again_where_it_was_rejected(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        if "stream_options" in request:
            return await reply.error(400, "Unknown parameter: stream_options")
        await reply.text("fine")
        await reply.finish(usage=False)

    provider.script = script
    assert await answer(provider) == [TextDelta("fine"), Finish("stop")]
    await answer(provider)
    assert ["stream_options" in request for request in provider.requests] == [True, False, False]


# Asking again


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_a_passing_failure_is_announced_and_asked_again(provider: MockProvider, status: int) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        if len(provider.requests) == 1:
            return await reply.error(status, "Try later", {"retry-after": "0.01"})
        await reply.text("there")
        await reply.finish(usage=False)

    provider.script = script
    retry, *rest = await answer(provider)
    assert isinstance(retry, Retry)
    assert (retry.attempt, retry.wait_seconds) == (1, 0.01)
    assert "Try later" in retry.reason
    assert rest == [TextDelta("there"), Finish("stop")]


async def test_after_two_retries_the_failure_is_told(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(503, "Out for lunch", {"retry-after": "0"})

    provider.script = script
    failed = await failure(provider)
    assert len(provider.requests) == 3
    assert failed.code == "overloaded"
    assert "Out for lunch" in failed.message


async def test_a_dropped_connection_before_the_first_delta_is_tried_again(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        if len(provider.requests) == 1:
            return await reply.abort()
        if len(provider.requests) == 2:
            await reply.head()
            return await reply.drop()
        await reply.text("there")
        await reply.finish()

    provider.script = script
    deltas = await answer(provider)
    assert [delta.attempt for delta in deltas if isinstance(delta, Retry)] == [1, 2]
    assert text(deltas) == "there"


@pytest.mark.parametrize(
    ("message", "fields", "headers"),
    [
        ("You exceeded your current quota", {"code": "insufficient_quota"}, {}),
        ("Slow down", {}, {"retry-after": "3600"}),
    ],
    ids=["no credit", "longer than half a minute"],
)
async def test_what_waiting_does_not_mend_is_told_at_once(
    provider: MockProvider, message: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(429, message, headers, **fields)

    provider.script = script
    failed = await failure(provider)
    assert len(provider.requests) == 1
    assert failed.code == "rate_limited"
    assert message in failed.message


async def test_after_the_first_delta_nothing_is_asked_again(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("half an ans")
        await reply.abort()

    provider.script = script
    deltas: asyncio.Queue[Delta] = asyncio.Queue()
    with pytest.raises(ModelError) as failed:
        await asyncio.wait_for(forward(ask(provider), deltas), SOON)
    assert deltas.get_nowait() == TextDelta("half an ans")
    assert failed.value.code == "connection"
    assert len(provider.requests) == 1


async def test_nothing_listens_there() -> None:
    async with MockProvider() as gone:
        pass
    with pytest.raises(ModelError, match=r"No answer from 127\.0\.0\.1:\d+ .*OPENAI_BASE_URL") as failed:
        await complete(HELLO, model=Model("mock", gone.url))
    assert failed.value.code == "connection"
    await close_clients()


# The demo model comes by the same way


async def test_the_demo_model_is_read_like_any_other() -> None:
    model = Model("demo", demo=True)
    await warm(model)
    demo_model.set_speed(0)
    demo_model.script([[demo_model.Thought("Hm."), "Hello ", "there"]])
    deltas = [delta async for delta in stream_llm(HELLO, model=model)]
    assert deltas[:3] == [ReasoningDelta("Hm."), TextDelta("Hello "), TextDelta("there")]
    assert isinstance(deltas[3], Usage)
    assert deltas[4] == Finish("stop")
    await close_clients()
