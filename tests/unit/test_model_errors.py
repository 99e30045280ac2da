"""What a person reads when the provider refuses: its own words, what that means, what to do."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from mock_provider import MockProvider, Reply

from utils.stream_llm import Model, ModelError, Retry, complete, stream_llm

KEY = "sk-secret-key-123"
SOON = 20.0


async def failure(provider: MockProvider, status: int, body: Any, headers: dict[str, str] | None = None) -> ModelError:
    """The error told after a response with this status and body; whatever is asked again is answered the same."""

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.head(status, {"content-type": "application/json", "retry-after": "0", **(headers or {})})
        await reply.chunk(body if isinstance(body, bytes) else json.dumps(body).encode())

    provider.script = script
    with pytest.raises(ModelError) as caught:
        await asyncio.wait_for(complete([], model=Model("mock", provider.url, KEY)), SOON)
    return caught.value


@pytest.mark.parametrize(
    ("status", "message", "code", "advice"),
    [
        (401, "Incorrect API key provided", "auth", "OPENAI_API_KEY"),
        (403, "Not for you", "auth", "OPENAI_API_KEY"),
        (404, "The model `gpt-9` does not exist", "not_found", "OPENAI_MODEL"),
        (429, "Rate limit reached", "rate_limited", "Wait"),
        (402, "Pay first", "rate_limited", "credit"),
        (413, "Request entity too large", "too_large", "shorter"),
        (400, "Invalid value for temperature", "bad_request", "refused"),
        (422, "model does not support tools", "bad_request", "refused"),
        (500, "Internal error", "overloaded", "Retry"),
        (503, "Loading model", "overloaded", "Retry"),
        (400, "This model's maximum context length is 8192 tokens", "context_overflow", "delete old messages"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "context_overflow", "delete old messages"),
        (400, "the request exceeds the available context size", "context_overflow", "delete old messages"),
    ],
)
async def test_the_providers_words_and_what_to_do(
    provider: MockProvider, status: int, message: str, code: str, advice: str
) -> None:
    failed = await failure(provider, status, {"error": {"message": message}})
    assert failed.code == code
    assert message in failed.message
    assert advice in failed.message
    assert str(failed) == failed.message


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No such thing"}},
        {"error": "No such thing"},
        {"message": "No such thing"},
        {"detail": "No such thing"},
        {"object": "error", "message": "No such thing"},
        [{"error": {"message": "No such thing"}}],
        b"No such thing",
        b"<html><head><style>p {}</style></head><body><h1>No such thing</h1></body></html>",
    ],
    ids=str,
)
async def test_an_error_is_found_however_it_is_wrapped(provider: MockProvider, body: Any) -> None:
    failed = await failure(provider, 404, body)
    assert failed.code == "not_found"
    assert failed.message.startswith("No such thing.")


async def test_an_error_without_a_word(provider: MockProvider) -> None:
    assert (await failure(provider, 500, b"")).message.startswith("The provider answered with HTTP status 500.")


@pytest.mark.parametrize("said", [KEY, "sk-secre*****123", f"Bearer {KEY}", "sk-another-key-of-somebody"])
async def test_no_message_shows_a_key(provider: MockProvider, said: str) -> None:
    failed = await failure(provider, 401, {"error": {"message": f"Incorrect API key provided: {said}"}})
    assert said not in failed.message
    assert "secre" not in failed.message
    assert "Incorrect API key provided" in failed.message


async def test_a_long_error_is_cut(provider: MockProvider) -> None:
    assert len((await failure(provider, 400, {"error": {"message": "word " * 10_000}})).message) < 800


async def test_retry_after_may_be_a_date(provider: MockProvider) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)

    async def script(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(429, "Slow down", {"retry-after": later})

    provider.script = script
    deltas = stream_llm([], model=Model("mock", provider.url))
    retry = await anext(deltas)
    assert isinstance(retry, Retry)
    assert 5 < retry.wait_seconds <= 20
    await deltas.aclose()


async def test_an_error_in_the_stream_before_the_first_delta_is_like_one_in_the_status(provider: MockProvider) -> None:
    busy = b'data: {"error": {"message": "Too many people", "code": 429}}\n\n'
    failed = await failure(provider, 200, busy, {"content-type": "text/event-stream"})
    assert failed.code == "rate_limited"
    assert len(provider.requests) == 3
