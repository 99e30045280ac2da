"""What a person sees when the store fails: a clear error, nothing half-written, and it goes on by itself."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from chat_server import ChatServer
from mock_provider import MockProvider, Reply
from readers import agrees_with_a_fresh_reader


@contextmanager
def pragma(server: ChatServer, on: str, off: str) -> Iterator[None]:
    """SQLite itself behaves as on a bad disk while the block lasts."""
    thread, connection = server.runner.database._thread, server.runner.database._connection
    thread.submit(connection.execute, f"PRAGMA {on}").result().fetchall()
    yield
    thread.submit(connection.execute, f"PRAGMA {off}").result().fetchall()


def full_disk(server: ChatServer) -> AbstractContextManager[None]:
    """The file cannot grow by a single page."""
    return pragma(server, "max_page_count = 1", "max_page_count = 1000000")


def read_only(server: ChatServer) -> AbstractContextManager[None]:
    """Nothing can be written, as on a disk that was mounted anew after an error."""
    return pragma(server, "query_only = ON", "query_only = OFF")


async def test_a_command_that_the_store_does_not_take_is_rejected_and_changes_nothing(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        before = tab.state
        with read_only(server):
            refused = await tab.say("Are you there?")
            assert refused["code"] == "unavailable"
            assert "nothing was changed" in refused["message"]
        assert await tab.ask("And now?") == "Hello from the mock provider."
        assert [m["content"] for m in tab.messages if m["role"] == "user"] == ["Hello", "And now?"]
        assert tab.state["version"] > before["version"]


async def test_a_full_disk_is_an_error_and_not_the_end(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        with full_disk(server):
            refused = await tab.say("x" * 60_000)
            assert refused["code"] == "unavailable"
            assert "full" in refused["message"]
        assert await tab.ask("And now?") == "Hello from the mock provider."


async def test_a_store_that_fails_mid_run_is_told_and_the_service_resumes(
    server: ChatServer, provider: MockProvider
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def gated(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Half ")
        begun.set()
        await go.wait()
        await reply.text("an answer.")
        await reply.finish()

    provider.script = gated
    async with server.client() as tab:
        await tab.say("Hello")
        await begun.wait()
        await tab.say("Later", id="later")
        with read_only(server):
            go.set()
            await tab.until_event(name="notice")
        await tab.until_event(type="RUN_ERROR")
        await tab.until_idle()
        assert tab.state["lastError"]["message"]
        assert tab.state["queue"] == [{"id": "later", "content": "Later", "held": True}]
        assert tab.mirror.problems == []
        await agrees_with_a_fresh_reader(server, tab)
        await tab.command("regenerate")
        await tab.until(lambda c: "lastError" not in c.state and c.state["status"] == "idle")
        assert [m["content"] for m in tab.messages] == ["Hello", "Half an answer."]


async def test_a_message_that_cannot_be_taken_yet_is_taken_when_the_store_is_back(
    server: ChatServer, provider: MockProvider
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def gated(request: dict[str, Any], reply: Reply) -> None:
        begun.set()
        await go.wait()
        await reply.text("Yes.")
        await reply.finish()

    provider.script = gated
    async with server.client() as tab:
        await tab.say("one")
        await begun.wait()
        conversation = await server.runner.get(tab.conversation_id)
        real, failures = conversation.store.take_work, iter([sqlite3.OperationalError("disk I/O error")] * 2)

        async def failing() -> Any:
            if error := next(failures, None):
                raise error
            return await real()

        conversation.store.take_work = failing  # type: ignore[method-assign]
        await tab.say("two")
        go.set()
        async with asyncio.timeout(10):  # sooner than the sweep, which would find it too
            await tab.until(lambda c: c.state["status"] == "idle" and not c.state["queue"])
        assert [m["content"] for m in tab.messages] == ["one", "Yes.", "two", "Yes."]
        assert tab.mirror.problems == []


async def test_a_checkpoint_that_fails_does_not_spoil_the_answer(server: ChatServer, provider: MockProvider) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(request: dict[str, Any], reply: Reply) -> None:
        await reply.text("Half ")
        begun.set()
        await go.wait()
        await reply.text("an answer.")
        await reply.finish()

    provider.script = slow
    async with server.client() as tab:
        asking = asyncio.create_task(tab.ask("Hello"))
        await begun.wait()
        with read_only(server):
            await asyncio.sleep(1.3)  # longer than from one checkpoint to the next
        go.set()
        assert await asking == "Half an answer."
        assert tab.find(type="RUN_FINISHED")[0]["outcome"] == {"type": "success"}
