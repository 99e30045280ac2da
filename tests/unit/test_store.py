"""Durable truth on a real SQLite file: what is taken in which order, what each change leaves."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from store_steps import APPROVED, answered, awaiting, do, finish, ids, say, state_of, take

from utils.server import catalog
from utils.server.database import Database
from utils.server.rows import read_messages, tool_message
from utils.server.store import ConversationStore, ToolCall


async def test_a_transaction_is_all_or_nothing(opened: Database, store: ConversationStore) -> None:
    await say(store, "one")

    def half(c: sqlite3.Connection) -> None:
        c.execute("UPDATE conversations SET title = 'half'")
        raise KeyError("broken")

    with pytest.raises(KeyError):
        await opened.transact(half)
    assert (await state_of(store))["conversation"]["title"] == "This is one"
    await say(store, "two")


async def test_an_accepted_message_is_on_disk(tmp_path: Path, store: ConversationStore) -> None:
    await say(store, "one")
    with sqlite3.connect(tmp_path / "chat.sqlite3") as c:
        assert c.execute("SELECT content FROM runs").fetchone()[0] == "This is one"
    c.close()


async def test_messages_are_taken_in_the_order_they_came_one_at_a_time(store: ConversationStore) -> None:
    for id in ("one", "two", "three"):
        await say(store, id)
    taken = []
    while work := await store.take_work():
        taken += [message["id"] for message in work.messages]
        state = await finish(store, work)
    assert taken == ["one", "two", "three"]
    assert state["status"] == "idle"


async def test_now_goes_first_and_two_of_them_in_order(store: ConversationStore) -> None:
    await say(store, "running")
    work = await take(store)
    await say(store, "later")
    for id in ("now1", "now2"):
        await say(store, id, "now")
    assert (await state_of(store))["status"] == "stopping"
    assert [waiting["id"] for waiting in (await state_of(store))["queue"]] == ["now1", "now2", "later"]
    await finish(store, work, status="cancelled")
    taken = []
    while next_work := await store.take_work():
        taken += [message["id"] for message in next_work.messages]
        await finish(store, next_work)
    assert taken == ["now1", "now2", "later"]


async def test_now_is_not_undone_by_an_edit_that_has_not_begun(store: ConversationStore) -> None:
    await answered(store, "one")
    await do(store, "edit_message", id="one", content="uno")
    await say(store, "now", "now")
    await finish(store, await take(store))
    assert await store.take_work() is None
    assert await ids(store) == ["one", "re-one", "now"]


async def test_decisions_are_taken_before_messages_and_only_once_all_are_made(store: ConversationStore) -> None:
    await awaiting(store)
    await say(store, "later")
    assert await store.take_work() is None
    await do(store, "resume", resume=[APPROVED])
    work = await take(store)
    assert (work.kind, [call.status for call in work.calls]) == ("resume", ["approved"])


async def test_what_is_held_waits_for_its_release(store: ConversationStore) -> None:
    await say(store, "running")
    work = await take(store)
    await say(store, "held")
    await do(store, "stop")
    assert (await finish(store, work, status="cancelled"))["status"] == "idle"
    assert await store.take_work() is None
    await do(store, "queue_release")
    said = {"id": "held", "role": "user", "content": "This is held", "metadata": {"status": "complete"}}
    assert (await take(store)).messages == [said]


async def test_a_paused_store_hands_out_nothing(store: ConversationStore) -> None:
    await say(store, "one")
    store.paused = True
    assert await store.take_work() is None


async def test_every_change_of_the_state_has_a_higher_version(store: ConversationStore) -> None:
    versions = []
    for step in (say(store, "one"), say(store, "two"), do(store, "stop"), do(store, "queue_release")):
        await step
        versions.append((await state_of(store))["version"])
    work = await take(store)
    versions.append(work.state["version"])
    versions.append((await finish(store, work))["version"])
    assert versions == sorted(set(versions))


async def test_a_failed_run_holds_what_waits_and_retry_keeps_finished_tools(store: ConversationStore) -> None:
    await say(store, "ask")
    work = await take(store)
    await say(store, "later")
    call = {"id": "call", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}
    await store.save([{"id": "a", "role": "assistant", "toolCalls": [call]}], [ToolCall("call", "current_time", "{}")])
    await store.start_call("call")
    await store.finish_call("call", tool_message("call", "Noon", "completed"))
    await store.save([{"id": "b", "role": "assistant", "content": "It is", "metadata": {"status": "failed"}}])
    error = {"code": "connection", "message": "Gone."}
    state = await finish(store, work, status="error", error=error)
    assert (state["lastError"], state["queue"][0]["held"]) == (error, True)
    await do(store, "regenerate")
    again = await take(store)
    assert [message["id"] for message in again.history or []] == ["ask", "a", "result-call"]


async def test_a_deleted_conversation_leaves_no_rows(opened: Database, store: ConversationStore) -> None:
    await awaiting(store)
    await do(store, "stop", commandId="c1")
    await store.transact(catalog.delete)

    def left(c: sqlite3.Connection) -> list[int]:
        tables = [row["name"] for row in c.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables.remove("sqlite_sequence")
        return [c.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables]

    assert set(await opened.transact(left)) == {0}


async def test_a_message_replaced_stays_where_it_was(opened: Database, store: ConversationStore) -> None:
    await answered(store, "one")
    await answered(store, "two")
    await store.save([{"id": "re-one", "role": "assistant", "content": "No"}])
    messages = await opened.transact(lambda c: read_messages(c, "chat"))
    assert [message["content"] for message in messages] == ["This is one", "No", "This is two", "Yes"]


async def test_many_conversations_at_once_do_not_mix(opened: Database) -> None:
    stores = [ConversationStore(opened, f"chat{number}") for number in range(20)]
    await asyncio.gather(*(answered(store, f"m{number}") for number, store in enumerate(stores)))
    for number, store in enumerate(stores):
        assert await ids(store) == [f"m{number}", f"re-m{number}"]
