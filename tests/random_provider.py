"""A provider that behaves at random, as real ones do on a bad day, and holds every request against the API's rules.

Conversations are told apart by the tag that each of their messages begins with: "c7: something".
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from mock_provider import Reply

TURNS = (
    *("text", "text", "think", "clock", "note", "note", "clock_and_note", "two_notes"),
    *("bad_arguments", "broken_json", "unknown_tool", "same_id"),
    *("refused", "busy", "breaks", "overflows", "drops", "resets", "cut", "silent", "empty"),
)


class RandomProvider:
    """A script for MockProvider: the conversation's next turn each time it asks, then plain text for ever."""

    def __init__(self) -> None:
        self.turns: dict[str, list[str]] = {}
        self.problems: list[str] = []
        self.texts_sent: dict[str, list[str]] = defaultdict(list)
        """By tag: every request, as text."""
        self._asked: dict[str, int] = defaultdict(int)

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        self.problems += problems_of(request["messages"])
        tag = tag_of(request["messages"])
        self.texts_sent[tag].append(json.dumps(request["messages"]))
        self._asked[tag] += 1
        turns = self.turns[tag]
        turn = turns.pop(0) if turns else "text"
        await getattr(self, f"_{turn}")(reply, f"{tag}n{self._asked[tag]}")

    async def _words(self, reply: Reply, name: str) -> None:
        for number in range(4):
            await reply.text(f"{name}w{number} ")
            await asyncio.sleep(0.002 * number)

    async def _text(self, reply: Reply, name: str) -> None:
        await self._words(reply, name)
        await reply.finish()

    async def _think(self, reply: Reply, name: str) -> None:
        await reply.delta(reasoning_content=f"{name} thinks ")
        await reply.delta(reasoning_content="hard")
        await self._text(reply, name)

    async def _clock(self, reply: Reply, name: str) -> None:
        await self._call(reply, ("current_time", {}, f"call_{name}"))

    async def _note(self, reply: Reply, name: str) -> None:
        await reply.text("I will note that. ")
        await self._call(reply, ("save_note", {"name": name, "text": "first"}, f"call_{name}"))

    async def _clock_and_note(self, reply: Reply, name: str) -> None:
        note = ("save_note", {"name": f"{name}b", "text": "first"}, f"call_{name}b")
        await self._call(reply, ("current_time", {"timezone": "Europe/Vienna"}, f"call_{name}a"), note)

    async def _two_notes(self, reply: Reply, name: str) -> None:
        calls = [("save_note", {"name": f"{name}{x}", "text": "first"}, f"call_{name}{x}") for x in "ab"]
        await self._call(reply, *calls)

    async def _bad_arguments(self, reply: Reply, name: str) -> None:
        await self._call(reply, ("save_note", {"name": 1}, f"call_{name}a"), ("current_time", {"zone": 2}, "call_x"))

    async def _broken_json(self, reply: Reply, name: str) -> None:
        function = {"name": "current_time", "arguments": '{"timezone": "Eu'}
        await reply.delta(tool_calls=[{"index": 0, "id": f"call_{name}", "function": function}])
        await reply.finish("tool_calls")

    async def _unknown_tool(self, reply: Reply, name: str) -> None:
        await self._call(reply, ("launch_rocket", {"now": True}, f"call_{name}"))

    async def _same_id(self, reply: Reply, name: str) -> None:
        await self._call(reply, ("current_time", {}, "call_1"))

    async def _call(self, reply: Reply, *calls: tuple[str, dict[str, Any], str]) -> None:
        for index, (tool, arguments, id) in enumerate(calls):
            await reply.tool_call(tool, arguments, id, index)
            await asyncio.sleep(0.001)
        await reply.finish("tool_calls")

    async def _refused(self, reply: Reply, name: str) -> None:
        await reply.error(400, "I do not like this.")

    async def _busy(self, reply: Reply, name: str) -> None:
        await reply.error(429, "Too many.", {"retry-after": "0"})

    async def _breaks(self, reply: Reply, name: str) -> None:
        await self._words(reply, name)
        await reply.chunk({"error": {"message": "On fire.", "code": 500}})

    async def _overflows(self, reply: Reply, name: str) -> None:
        await self._words(reply, name)
        await reply.chunk({"error": {"message": "The context length is exceeded.", "code": 400}})

    async def _drops(self, reply: Reply, name: str) -> None:
        await self._words(reply, name)
        await reply.drop()

    async def _resets(self, reply: Reply, name: str) -> None:
        await reply.tool_call("save_note", {"name": name, "text": "first"}, f"call_{name}")
        await reply.abort()

    async def _cut(self, reply: Reply, name: str) -> None:
        await self._words(reply, name)

    async def _silent(self, reply: Reply, name: str) -> None:
        await reply.head()
        await reply.closed.wait()

    async def _empty(self, reply: Reply, name: str) -> None:
        await reply.finish()


def tag_of(messages: Iterable[dict[str, Any]]) -> str:
    said = next(message["content"] for message in messages if message["role"] == "user")
    return str(said).split(":")[0]


def problems_of(messages: list[dict[str, Any]]) -> list[str]:
    """What the chat-completions API would refuse, each in a sentence."""
    problems, open_calls = [], list[str]()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                problems.append(f"a result without its call right before: {message}")
                continue
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            problems.append(f"calls without a result: {open_calls}")
        open_calls = [call["id"] for call in message.get("tool_calls", ())]
        if len(set(open_calls)) < len(open_calls):
            problems.append(f"one id for several calls: {open_calls}")
        problems += [f"bad call {call}" for call in message.get("tool_calls", ()) if not _is_valid(call["function"])]
        if not message.get("content") and not open_calls:
            problems.append(f"an empty message: {message}")
    return problems + ([f"calls without a result at the end: {open_calls}"] if open_calls else [])


def _is_valid(function: dict[str, str]) -> bool:
    try:
        return bool(function["name"]) and isinstance(json.loads(function["arguments"]), dict)
    except ValueError:
        return False
