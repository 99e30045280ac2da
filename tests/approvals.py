"""A conversation that awaits decisions about notes, and how to decide."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chat_server import ChatServer, Client
from mock_provider import MockProvider, Reply

from utils.server import workspace


class NoteTaker:
    """A provider that asks for `notes` at once, when a person has spoken, and says "Done." to the results."""

    def __init__(self, *notes: str) -> None:
        self.notes = notes

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool" or "just talk" in request["messages"][-1]["content"]:
            await reply.text("Done.")
            return await reply.finish()
        for index, name in enumerate(self.notes):
            await reply.tool_call("save_note", {"name": name, "text": f"The {name}"}, f"call_{name}", index)
        await reply.finish("tool_calls")


@asynccontextmanager
async def awaiting(server: ChatServer, provider: MockProvider, *notes: str) -> AsyncIterator[Client]:
    """A tab whose conversation awaits decisions about these notes."""
    provider.script = NoteTaker(*notes)
    async with server.client() as tab:
        await tab.say("Note something")
        await tab.until_status("awaiting")
        yield tab


def resolved(call: str, **payload: Any) -> dict[str, Any]:
    return {"interruptId": f"call_{call}", "status": "resolved", "payload": payload}


def cancelled(call: str) -> dict[str, Any]:
    return {"interruptId": f"call_{call}", "status": "cancelled"}


def saved(tab: Client) -> list[str]:
    return [name for name, _ in workspace.files(tab.conversation_id)]


def results(tab: Client) -> list[str]:
    return [str(message["content"]) for message in tab.messages if message["role"] == "tool"]


def told(provider: MockProvider) -> str:
    """The last thing that the model was told."""
    return str(provider.requests[-1]["messages"][-1]["content"])
