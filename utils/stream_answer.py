"""A model's answer streamed into an Answer: a checkpoint every second, and a shorter history if it is too long."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from utils.answer import Answer
from utils.history import for_model, shorter, within
from utils.limits import limits
from utils.server.rows import Message
from utils.stream_llm import Delta, Model, ModelError, Retry, stream_llm
from utils.text_tool_calls import with_text_tool_calls
from utils.text_tool_prompt import as_text, describe

log = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 1.0
LEFT_OUT = "The conversation is longer than the model reads: its oldest turns are left out."


@dataclass
class Request:
    """What to ask whom. `history` is the whole one, oldest first; `tools` as the chat-completions API takes them.

    `text_tools`: the model has no native tool calls, so both go as text.
    """

    model: Model
    instructions: str
    history: list[Message]
    tools: list[dict[str, Any]]
    text_tools: bool = False


async def stream_answer(
    request: Request, answer: Answer, save: Callable[[list[Message]], Awaitable[None]], note: Callable[[str], None]
) -> None:
    """Stream into `answer`; `save` gets its messages about every second, `note` what a person should know.

    Raises ModelError; what had arrived is in `answer`.
    """
    saving = asyncio.create_task(_checkpoints(answer, save))
    deltas = _deltas(request, note)
    try:
        async for delta in deltas:
            answer.add(delta)
    finally:
        await deltas.aclose()
        saving.cancel()
        await asyncio.wait({saving})


async def _deltas(request: Request, note: Callable[[str], None]) -> AsyncGenerator[Delta, None]:
    """The model's deltas. If its context overflows before the first one, it is asked again with fewer turns."""
    history = within(request.history, limits().history_chars)
    told, begun = len(history) < len(request.history), False
    if told and request.history[-1]["role"] == "user":  # said once a turn
        note(LEFT_OUT)
    while True:
        try:
            async with aclosing(_ask(request, history)) as deltas:
                async for delta in deltas:
                    begun = begun or not isinstance(delta, Retry)
                    yield delta
            return
        except ModelError as error:
            left = shorter(history) if error.code == "context_overflow" and not begun else history
            if len(left) == len(history):
                raise
            history = left
        if not told:
            note(LEFT_OUT)
        told = True


def _ask(request: Request, history: list[Message]) -> AsyncGenerator[Delta, None]:
    if not request.text_tools:
        prompt = for_model(history, request.instructions)
        return stream_llm(prompt, model=request.model, tools=request.tools)
    instructions = f"{request.instructions}\n\n{describe(request.tools)}".strip()
    prompt = as_text(for_model(history, instructions))
    return with_text_tool_calls(stream_llm(prompt, model=request.model), request.tools)


async def _checkpoints(answer: Answer, save: Callable[[list[Message]], Awaitable[None]]) -> None:
    """Store the growing answer as what it would be if the server died now: interrupted."""
    saved = 0
    while True:
        await asyncio.sleep(CHECKPOINT_SECONDS)
        if answer.size != saved:
            saved = answer.size
            try:
                await save(answer.messages())
            except Exception:
                log.exception("a checkpoint of the answer could not be stored; its end will be, or the run fails")


if __name__ == "__main__":

    async def save(messages: list[Message]) -> None:
        print("saved", messages)

    async def trial() -> None:
        history = [{"id": "1", "role": "user", "content": "Hello"}]
        await stream_answer(
            Request(Model("demo", demo=True), "", history, []), Answer(print, "assistant", set()), save, print
        )

    asyncio.run(trial())
