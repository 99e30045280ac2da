"""Tool calls as servers stream them, and the calls that come of it."""

import asyncio
import json
from typing import Any

import pytest
from mock_provider import MockProvider, Reply

from utils.stream_llm import Delta, Finish, Model, TextDelta, ToolCallDelta, stream_llm

SOON = 20.0


def piece(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: Any = ""
) -> dict[str, Any]:
    """A piece as it goes over the wire; what is None is left out."""
    sent: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        sent["index"] = index
    if id is not None:
        sent["id"] = id
    if name is not None:
        sent["function"]["name"] = name
    return sent


async def read(provider: MockProvider, *pieces: dict[str, Any], reason: str = "tool_calls") -> list[Delta]:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        for sent in pieces:
            await reply.delta(tool_calls=[sent])
        await reply.finish(reason, usage=False)

    provider.script = script
    async with asyncio.timeout(SOON):
        return [delta async for delta in stream_llm([], model=Model("mock", provider.url))]


def calls(deltas: list[Delta]) -> list[tuple[str | None, str | None, str]]:
    """Id, name and joined arguments of each call, as a reader of the deltas puts them together."""
    put: dict[int, list[str | None]] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            if delta.index in put:
                assert (delta.id, delta.name) == (None, None), "id and name come once"
                put[delta.index][2] = f"{put[delta.index][2]}{delta.arguments}"
            else:
                put[delta.index] = [delta.id, delta.name, delta.arguments]
    assert list(put) == list(range(len(put))), "calls are counted from 0 in the order in which they begin"
    return [(id, name, arguments or "") for id, name, arguments in put.values()]


X, Y = '{"x": 1}', '{"y": 2}'
ONE = [("a", "one", X)]
TWO = [("a", "one", X), ("b", "two", Y)]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([piece(0, "a", "one"), piece(0, arguments='{"x":'), piece(0, arguments=" 1}")], ONE),
        ([piece(0, "a", "one", '{"x":'), piece(0, "a", "one", " 1}")], ONE),
        ([piece(0, "a", "one", '{"x":'), piece(0, None, "one", " 1}")], ONE),
        ([piece(0, "a", "one", '{"x":'), piece(0, "", "", " 1}")], ONE),
        ([piece(0, "a", "one", X), piece(1, "b", "two", Y)], TWO),
        ([piece(7, "a", "one", X), piece(3, "b", "two", Y)], TWO),
        ([piece(0, "a", "one", '{"x":'), piece(1, "b", "two", Y), piece(0, arguments=" 1}")], TWO),
        ([piece(0, "a", "one", X), piece(0, "b", "two", Y)], TWO),
        ([piece(0, "a", "one", '{"x":'), piece(0, "b", "two", Y), piece(0, "a", None, " 1}")], TWO),
        ([piece(None, "a", "one", '{"x":'), piece(None, None, None, " 1}")], ONE),
        ([piece(None, "a", "one", X), piece(None, "b", "two", '{"y":'), piece(None, None, None, " 2}")], TWO),
        ([piece(0, None, "one", X), piece(1, None, "two", Y)], [(None, "one", X), (None, "two", Y)]),
        ([piece(None, None, "one", X), piece(None, None, "two", Y)], [(None, "one", X), (None, "two", Y)]),
        ([piece(0, None, "one", X), piece(0, None, "one", Y)], [(None, "one", X), (None, "one", Y)]),
        ([piece(0, None, "one", '{"x":'), piece(0, None, "one", " 1}")], [(None, "one", X)]),
        ([piece(0, "a", "one", X), piece(1, "a", "two", Y)], [("a", "one", X), (None, "two", Y)]),
        ([piece(0, "a", None, '{"x":'), piece(0, None, "one", " 1}")], ONE),
        ([piece(0, "a", "one", {"x": 1})], [("a", "one", '{"x":1}')]),
        ([piece(0, "a", "one", None)], [("a", "one", "")]),
        ([piece(0, "a", "one", '{"x": ')], [("a", "one", '{"x": ')]),
        ([piece(0, "a", None, X)], [("a", None, X)]),
    ],
    ids=[
        "as OpenAI does",
        "id and name on every piece",
        "name on every piece",
        "empty id and name on later pieces",
        "two calls",
        "indexes of its own",
        "two calls interleaved",
        "all at index 0 with new ids",
        "interleaved at index 0",
        "no index",
        "two calls without index",
        "no id",
        "two calls with neither index nor id",
        "all at index 0, whole, without ids",
        "name on every piece, without id",
        "two calls that share an id",
        "name after the arguments began",
        "arguments as an object",
        "arguments null",
        "arguments cut off",
        "never a name",
    ],
)
async def test_the_calls_are_what_was_meant(provider: MockProvider, pieces: list[Any], expected: list[Any]) -> None:
    assert calls(await read(provider, *pieces)) == expected


async def test_a_piece_is_yielded_when_it_comes_and_only_if_it_says_something(provider: MockProvider) -> None:
    pieces = [piece(0, "a", "one"), piece(0), piece(0, "a", "one"), piece(0, arguments="{}")]
    assert await read(provider, *pieces) == [
        ToolCallDelta(0, "a", "one", ""),
        ToolCallDelta(0, None, None, "{}"),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("stop", "tool_calls"), ("", "tool_calls"), ("function_call", "tool_calls"), ("length", "length")],
)
async def test_calls_are_the_reason_even_where_the_server_says_stop(
    provider: MockProvider, sent: str, expected: str
) -> None:
    assert (await read(provider, piece(0, "a", "one", X), reason=sent))[-1] == Finish(expected)


async def test_text_before_a_call_comes_before_it(provider: MockProvider) -> None:
    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("<thin")
        await reply.tool_call("one", {"x": 1})
        await reply.finish("tool_calls", usage=False)

    provider.script = script
    text, *rest = [delta async for delta in stream_llm([], model=Model("mock", provider.url))]
    assert text == TextDelta("<thin")
    assert calls(rest) == [("call_1", "one", '{"x": 1}')]


async def test_calls_in_a_json_answer(provider: MockProvider) -> None:
    sent = [{"id": "a", "type": "function", "function": {"name": "one", "arguments": X}}]
    sent += [{"id": "b", "type": "function", "function": {"name": "two", "arguments": Y}}]
    message = {"role": "assistant", "content": None, "tool_calls": sent}

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.head(headers={"content-type": "application/json"})
        await reply.chunk(json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode())

    provider.script = script
    deltas = [delta async for delta in stream_llm([], model=Model("mock", provider.url))]
    assert calls(deltas) == TWO
    assert deltas[-1] == Finish("tool_calls")
