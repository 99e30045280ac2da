"""One request to an OpenAI-compatible model, as typed deltas.

    async for delta in stream_llm([{"role": "user", "content": "Hello"}], model=Model("gpt-5-mini", api_key="…")):
        ...

The openai client sends and authenticates (utils/llm/connection.py); the raw bytes of its answer are read by
utils/llm/chat_stream.py.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator
from typing import Any

from utils.limits import limits
from utils.llm.chat_stream import ChatStream
from utils.llm.connection import Model, Timeouts, ask, close_clients, warm
from utils.llm.deltas import Delta, Finish, ReasoningDelta, Retry, TextDelta, ToolCallDelta, Usage
from utils.llm.errors import ModelError

__all__ = [
    "Delta",
    "Finish",
    "Model",
    "ModelError",
    "ReasoningDelta",
    "Retry",
    "TextDelta",
    "Timeouts",
    "ToolCallDelta",
    "Usage",
    "close_clients",
    "complete",
    "stream_llm",
    "warm",
]

RETRIES = 2
LONGEST_WAIT = 30.0
"""Seconds. A provider that asks for more is not asked again."""


async def stream_llm(
    messages: list[dict[str, Any]],
    *,
    model: Model,
    tools: list[dict[str, Any]] | None = None,
    timeouts: Timeouts | None = None,
    **extra: Any,
) -> AsyncGenerator[Delta, None]:
    """Asks the model and yields deltas the moment they arrive; the last is Finish.

    `extra` are more fields of the request. To stop, cancel the task that iterates, or `aclose` the generator: the
    provider's socket is closed at once. Raises ModelError; until the first delta it asks again itself, as Retry says.
    """
    timeouts = timeouts or Timeouts(first_token=limits().first_token_seconds, stall=limits().stall_seconds)
    request = {"messages": messages, **({"tools": tools} if tools else {}), **extra}
    for attempt in itertools.count(1):
        stream, started = ChatStream(model.api_key), False
        try:
            async with ask(request, model, timeouts) as answer:
                while not stream.done:
                    data, moved = await answer.read(), False
                    for delta in stream.feed(data) if data else stream.end():
                        started = moved = True
                        yield delta
                    answer.note(stream, moved)
                await answer.run_out()
            return
        except ModelError as error:
            wait = error.retry_after if error.retry_after is not None else 2 ** (attempt - 1) * random.uniform(0.5, 1)
            if started or not error.passing or attempt > RETRIES or wait > LONGEST_WAIT:
                raise
            retry = Retry(attempt, error.message, wait)
        yield retry
        await asyncio.sleep(retry.wait_seconds)


async def complete(
    messages: list[dict[str, Any]], *, model: Model, timeouts: Timeouts | None = None, **extra: Any
) -> str:
    """The whole text of a short answer that nobody watches. Raises ModelError."""
    deltas = stream_llm(messages, model=model, timeouts=timeouts, **extra)
    return "".join([delta.text async for delta in deltas if isinstance(delta, TextDelta)])


async def _trial() -> None:
    messages = [{"role": "user", "content": "Show me a table"}]
    async for delta in stream_llm(messages, model=Model("demo", demo=True)):
        print(delta.text if isinstance(delta, TextDelta) else f"\n{delta}", end="", flush=True)
    await close_clients()


if __name__ == "__main__":
    asyncio.run(_trial())
