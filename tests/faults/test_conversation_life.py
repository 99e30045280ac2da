"""Conversations that begin in a hurry, are deleted while they run, or are forgotten and found again."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from chat_server import ChatServer, running_server
from mock_provider import MockProvider, Reply
from readers import Reader, eventually

from utils.server import workspace


async def test_deleting_a_conversation_while_it_runs_leaves_nothing(server: ChatServer, provider: MockProvider) -> None:
    asked: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    async def silent(request: dict[str, Any], reply: Reply) -> None:
        asked.set_result(reply)
        await reply.closed.wait()

    provider.script = silent
    async with server.client() as tab:
        await tab.say("Hello")
        reply = await asked
        (workspace.folder(tab.conversation_id) / "file").write_text("x")
        reader = Reader(server.ws_url, tab.conversation_id)
        await reader.attach()
        conversation = await server.runner.get(tab.conversation_id)
        late = asyncio.create_task(tab.say("One more"))
        await server.runner.delete(conversation)
        async with asyncio.timeout(10):
            await reply.closed.wait()
        assert await reader.until_closed() == 4404
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        count = "SELECT (SELECT COUNT(*) FROM conversations) + (SELECT COUNT(*) FROM runs)"
        assert await server.runner.database.transact(lambda c: c.execute(count).fetchone()[0]) == 0
        assert conversation.id not in [live.id for live in server.runner.live]
        assert not conversation.busy


async def test_a_first_message_whose_sender_leaves_at_once_is_answered(server: ChatServer) -> None:
    for _ in range(10):
        async with server.client() as tab:
            await tab.socket.send('{"type": "user_message", "content": "Hello", "id": "mine"}')
            conversation_id = tab.conversation_id
        rows = "SELECT COUNT(*) FROM conversations WHERE id = ?"

        def stored(c: sqlite3.Connection, rows: str = rows, id: str = conversation_id) -> int:
            return int(c.execute(rows, (id,)).fetchone()[0])

        async with asyncio.timeout(10):
            while not await server.runner.database.transact(stored):
                continue
        async with server.client(conversation_id) as back:
            await back.until(lambda c: c.state["status"] == "idle" and len(c.messages) == 2)
            assert [m["role"] for m in back.messages] == ["user", "assistant"]


async def test_idle_conversations_are_forgotten_and_found_again(tmp_path: Path, provider: MockProvider) -> None:
    async with running_server(tmp_path, openai_base_url=provider.url, idle_minutes=0) as server:
        async with server.client() as tab:
            await tab.ask("Hello")
            conversation_id, messages = tab.conversation_id, tab.messages
            server.runner._forget_idle()
            assert [live.id for live in server.runner.live] == [conversation_id]

        def forgotten() -> bool:
            server.runner._forget_idle()
            return server.runner.live == []

        await eventually(forgotten)
        async with server.client(conversation_id) as back:
            assert back.messages == messages
            assert await back.ask("Again") == "Hello from the mock provider."


async def test_nothing_is_left_running_when_the_server_ends(tmp_path: Path, provider: MockProvider) -> None:
    before = asyncio.all_tasks()
    options: dict[str, Any] = {"openai_base_url": provider.url}
    async with running_server(tmp_path, **options) as server, server.client() as tab, server.client() as other:
        await tab.ask("Hello")
        await other.ask("Hello")
    ours = [t for t in asyncio.all_tasks() - before if "_read_request" not in str(t) and "MockProvider" not in str(t)]
    assert ours == []
