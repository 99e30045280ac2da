"""What a crash leaves in the rows, and what the next start makes of it."""

from store_steps import APPROVED, INTERRUPT, awaiting, do, say, state_of, take

from utils.server import catalog
from utils.server.database import Database
from utils.server.store import ConversationStore


async def test_a_crash_while_a_tool_ran_leaves_its_outcome_unknown(opened: Database, store: ConversationStore) -> None:
    await awaiting(store)
    await say(store, "later")
    await do(store, "resume", resume=[APPROVED])
    await take(store)
    await store.start_call("call")
    await opened.transact(catalog.recover_all)
    messages, state = await store.load()
    assert "Outcome unknown" in messages[-1]["content"]
    assert (state["status"], state["lastError"]["code"]) == ("idle", "server_restarted")
    assert [waiting["held"] for waiting in state["queue"]] == [True]
    assert await store.take_work() is None


async def test_a_crash_before_a_tool_ran_says_that_it_did_not(opened: Database, store: ConversationStore) -> None:
    await awaiting(store)
    await do(store, "resume", resume=[APPROVED])
    await take(store)
    await opened.transact(catalog.recover_all)
    assert (await store.load())[0][-1]["content"].startswith("Not executed.")


async def test_a_crash_while_awaiting_changes_nothing_but_the_queue(opened: Database, store: ConversationStore) -> None:
    await awaiting(store)
    await say(store, "later")
    await opened.transact(catalog.recover_all)
    state = await state_of(store)
    assert (state["status"], state["interrupts"]) == ("awaiting", [INTERRUPT])
    assert state["queue"][0]["held"]


async def test_a_decision_that_was_accepted_before_a_crash_still_counts(
    opened: Database, store: ConversationStore
) -> None:
    await awaiting(store)
    await do(store, "resume", resume=[APPROVED])
    await opened.transact(catalog.recover_all)
    assert (await take(store)).calls[0].status == "approved"
