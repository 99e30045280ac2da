"""A conversation with a picked agent, and a provider that answers judgements apart from the rest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from chat_server import ChatServer, Client
from mock_provider import Reply


@asynccontextmanager
async def conversation_with(server: ChatServer, agent: str) -> AsyncIterator[Client]:
    """A tab on a new conversation for which this agent was picked."""
    async with aiohttp.ClientSession(server.url) as http:
        async with http.post("/api/conversations", json={"agent": agent}) as response:
            conversation_id = (await response.json())["id"]
        async with server.client(conversation_id) as tab:
            yield tab


class Script:
    """Answers judgements with `judgements`, one each, and everything else with the texts in `answers`, else "Fine."."""

    def __init__(self, *judgements: str, answers: tuple[str, ...] = ()) -> None:
        self.judgements, self.answers = list(judgements), list(answers)

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        texts = self.judgements if "JSON only" in request["messages"][0]["content"] else self.answers or ["Fine."]
        await reply.text(texts.pop(0))
        await reply.finish()
