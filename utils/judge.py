"""A short structured judgement by a model that may wrap its JSON in prose, a fence or thoughts."""

import asyncio
import json
from typing import Any

from utils.llm.connection import Model
from utils.stream_llm import complete

ONLY_JSON = "That cannot be read by a program. Give the same judgement again as the JSON object only, no other word."
LONGEST = 8_000
"""Characters at a reply's end in which the object is looked for."""


async def judge(prompt: str, text: str, model: Model, key: str) -> dict[str, Any]:
    """The last JSON object in the model's reply that has `key`; a reply without one is asked for once more.

    Raises ModelError when there is no reply, and ValueError when there is no such object in it.
    """
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
    for _ in range(2):
        reply = (await complete(messages, model=model))[-LONGEST:]
        if found := _objects_with(key, reply):
            return found[-1]
        messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": ONLY_JSON}]
    raise ValueError(f"The model was asked for a judgement as JSON with {key!r} and gave none.")


def _objects_with(key: str, reply: str) -> list[dict[str, Any]]:
    decoder, found, start = json.JSONDecoder(), [], reply.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found += [value] if key in value else []
        start = reply.find("{", end)
    return found


if __name__ == "__main__":
    demo = Model("demo", demo=True)
    print(asyncio.run(judge('Reply with JSON only: {"safe": true or false, "reason": "..."}', "Hello", demo, "safe")))
