"""What real servers send, over a real socket, and what comes of it."""

import asyncio
import json
import zlib
from typing import Any

import pytest
from mock_provider import MockProvider, Reply

from utils.stream_llm import Delta, Finish, Model, ModelError, ReasoningDelta, TextDelta, Usage, stream_llm

KEY = "sk-secret-key-123"
SOON = 20.0
Sent = dict[str, Any] | bytes
DONE = b"data: [DONE]\n\n"


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def finish(reason: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


A, B, STOP = delta(content="A"), delta(content="B"), finish("stop")
TEXT_A, TEXT_B = TextDelta("A"), TextDelta("B")


async def read(provider: MockProvider, *sent: Sent, headers: dict[str, str] | None = None) -> list[Delta]:
    """The deltas of an answer that consists of these pieces; an error ends the list as a ModelError."""

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.head(200, headers)
        for piece in sent:
            await reply.chunk(piece)

    provider.script = script
    deltas: list[Any] = []
    try:
        async with asyncio.timeout(SOON):
            async for item in stream_llm([], model=Model("mock", provider.url, KEY)):
                deltas.append(item)
    except ModelError as error:
        deltas.append(error)
    return deltas


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"choices": None},
        {"id": "x"},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0}]},
        delta(role="assistant"),
        delta(content=None),
        delta(content=""),
        delta(content=None, tool_calls=None, reasoning_content=None, function_call=None, audio=None),
        finish(None),
        finish(""),
        {"choices": [], "usage": None},
        {"choices": [{"index": 0, "delta": {}}], "error": None},
        b": ping\n\n",
        b"\n\n\n",
        b"id: 7\nretry: 1000\nevent: message\n",
        b"data:\n\n",
        b"event: ping\ndata: {}\n\n",
    ],
    ids=str,
)
async def test_pieces_that_say_nothing_are_passed_over(provider: MockProvider, odd: Sent) -> None:
    assert await read(provider, odd, A, odd, B, odd, STOP, odd, DONE) == [TEXT_A, TEXT_B, Finish("stop")]


@pytest.mark.parametrize(
    "sent",
    [
        b"data: %b\r\n\r\n",
        b"data:%b\n\n",
        b"data: %b\n",
        b"event: message\ndata: %b\n\n",
        b"id: 1\ndata:  %b \n\n",
        b"%b\n",
    ],
    ids=str,
)
async def test_line_ends_spaces_and_fields_as_servers_like_them(provider: MockProvider, sent: bytes) -> None:
    pieces = [sent % json.dumps(piece).encode() for piece in (A, B, STOP)]
    assert await read(provider, *pieces) == [TEXT_A, TEXT_B, Finish("stop")]


async def test_an_event_spread_over_several_data_lines(provider: MockProvider) -> None:
    lines = json.dumps(A, indent=1).encode().replace(b"\n", b"\ndata: ")
    assert await read(provider, b"data: " + lines + b"\n\n", B, STOP, DONE) == [TEXT_A, TEXT_B, Finish("stop")]


async def test_a_character_cut_in_two_by_the_network_is_whole(provider: MockProvider) -> None:
    line = "data: " + json.dumps(delta(content="Grüße 🌍"), ensure_ascii=False) + "\n\n"
    pieces = [bytes([byte]) for byte in line.encode()]
    assert await read(provider, *pieces, STOP, DONE) == [TextDelta("Grüße 🌍"), Finish("stop")]


async def test_a_compressed_stream(provider: MockProvider) -> None:
    packer = zlib.compressobj(wbits=31)
    lines = [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in (A, B, STOP)]
    packed = [packer.compress(line) + packer.flush(zlib.Z_SYNC_FLUSH) for line in lines] + [packer.flush()]
    assert await read(provider, *packed, headers={"content-encoding": "gzip"}) == [TEXT_A, TEXT_B, Finish("stop")]


async def test_bad_utf8_costs_a_character_not_the_answer(provider: MockProvider) -> None:
    bad = b'data: {"choices": [{"delta": {"content": "A\xff"}}]}\n\n'
    assert await read(provider, bad, B, STOP, DONE) == [TextDelta("A\ufffd"), TEXT_B, Finish("stop")]


async def test_half_a_surrogate_pair_costs_a_character_not_the_answer(provider: MockProvider) -> None:
    bad = b'data: {"choices": [{"delta": {"content": "A\\ud83d"}}]}\n\n'
    assert await read(provider, bad, B, STOP, DONE) == [TextDelta("A?"), TEXT_B, Finish("stop")]


# How it ends


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ([finish("stop"), DONE], "stop"),
        ([finish("stop")], "stop"),
        ([DONE], "stop"),
        ([finish("length"), DONE], "length"),
        ([finish("max_tokens"), DONE], "length"),
        ([finish("content_filter"), DONE], "content_filter"),
        ([finish("STOP"), DONE], "stop"),
        ([finish("bored"), DONE], "bored"),
        ([], "cut"),
        ([finish("")], "cut"),
        ([b'data: {"choices": [{"del'], "cut"),
    ],
    ids=str,
)
async def test_the_reason_of_the_end(provider: MockProvider, ending: list[Sent], reason: str) -> None:
    assert await read(provider, A, *ending) == [TEXT_A, Finish(reason)]


async def test_what_follows_done_is_not_read(provider: MockProvider) -> None:
    assert await read(provider, A, STOP, DONE, B) == [TEXT_A, Finish("stop")]


async def test_content_may_be_empty(provider: MockProvider) -> None:
    assert await read(provider, delta(role="assistant", content=""), STOP, DONE) == [Finish("stop")]


async def test_usage_comes_once_however_often_it_is_sent(provider: MockProvider) -> None:
    def counted(chunk: dict[str, Any], output: int | None) -> dict[str, Any]:
        return {**chunk, "usage": {"prompt_tokens": 5, "completion_tokens": output}}

    sent = (counted(A, None), counted(B, 2), counted(STOP, 2), counted({"choices": []}, 2), DONE)
    assert await read(provider, *sent) == [Usage(5, 0), TEXT_A, Usage(5, 2), TEXT_B, Finish("stop")]


# What is no stream

COMPLETION = {
    "object": "chat.completion",
    "choices": [{"message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}


@pytest.mark.parametrize("indent", [None, 2])
async def test_a_server_that_answers_json_instead_of_a_stream(provider: MockProvider, indent: int | None) -> None:
    body = json.dumps(COMPLETION, indent=indent).encode()
    got = await read(provider, body, headers={"content-type": "application/json"})
    assert got == [Usage(1, 2), TEXT_A, Finish("stop")]


async def test_a_web_page_is_an_error_that_shows_what_it_was(provider: MockProvider) -> None:
    page = b"<!doctype html>\n<html><style>p {}</style><h1>Welcome to my router</h1></html>"
    [error] = await read(provider, page, headers={"content-type": "text/html"})
    assert error.code == "bad_response"
    assert "“Welcome to my router”" in error.message
    assert "OPENAI_BASE_URL" in error.message


@pytest.mark.parametrize("sent", [[], [DONE], [b": ping\n\n"], [{"choices": []}]], ids=str)
async def test_nothing_at_all_is_an_error(provider: MockProvider, sent: list[Sent]) -> None:
    [error] = await read(provider, *sent)
    assert error.code == "bad_response"
    assert "nothing at all" in error.message


# Errors in the middle


@pytest.mark.parametrize(
    "sent",
    [
        {"error": {"message": "The GPU is on fire", "type": "server_error"}},
        {"error": "The GPU is on fire"},
        {"error": {"error": {"message": "The GPU is on fire"}}},
        {"object": "error", "message": "The GPU is on fire", "code": 500},
        {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "The GPU is on fire"}}]},
        b'event: error\ndata: {"message": "The GPU is on fire"}\n\n',
        b"event: error\ndata: The GPU is on fire\n\n",
        b"event: error\ndata: The GPU is on fire",
        b'error: {"message": "The GPU is on fire"}\n\n',
        b"error: The GPU is on fire\n\n",
        b'{"error": {"message": "The GPU is on fire"}}',
    ],
    ids=str,
)
async def test_an_error_in_the_middle_is_told_after_the_text_before_it(provider: MockProvider, sent: Sent) -> None:
    text, error = await read(provider, A, sent)
    assert text == TEXT_A
    assert error.code == "overloaded"
    assert error.message.startswith("The GPU is on fire.")


@pytest.mark.parametrize(
    "sent",
    [
        b"data: {nonsense}\n\n",
        b"data: [1, 2]\n\n",
        b"data: nonsense\n\n",
        {"choices": ["nonsense"]},
        {"choices": [{"delta": {"tool_calls": [7]}}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": "nonsense"},
    ],
    ids=str,
)
async def test_what_cannot_be_read_is_quoted(provider: MockProvider, sent: Sent) -> None:
    text, error = await read(provider, A, sent, B, STOP, DONE)
    assert text == TEXT_A
    assert error.code == "bad_response"
    assert "“" in error.message


async def test_an_endless_line_is_an_error_not_a_memory_leak(provider: MockProvider) -> None:
    [error] = await read(provider, *[b"data: {" + b"x" * 2**20] * 6)
    assert "4 MiB" in error.message


@pytest.mark.parametrize("fields", [["reasoning_content"], ["reasoning"], ["reasoning", "reasoning_content"]], ids=str)
async def test_reasoning_has_deltas_of_its_own(provider: MockProvider, fields: list[str]) -> None:
    thoughts = [delta(content="", **dict.fromkeys(fields, thought)) for thought in ("Hm.", "So…")]
    got = await read(provider, *thoughts, A, STOP, DONE)
    assert got == [ReasoningDelta("Hm."), ReasoningDelta("So…"), TEXT_A, Finish("stop")]
