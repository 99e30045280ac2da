"""Who may run a conversation, and when: wake-ups, recovery after a crash, forgetting the idle, shutdown.

`answer(shared)` is handed in by main: it runs the flow until nothing is left to do.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from utils.server import catalog, events
from utils.server.bus import Channel
from utils.server.conversation import Conversation
from utils.server.database import Database
from utils.server.rows import new_state
from utils.server.store import ConversationStore

log = logging.getLogger(__name__)
SWEEP_SECONDS = 15.0
SHUTDOWN_SECONDS = 4.0
REPAIR_SECONDS = 0.5
GOING_AWAY, DELETED = 1012, 4404
BROKEN_OFF = {
    "code": "internal",
    "message": "Something went wrong in the server (its log says what). What had arrived is kept. It goes on as soon as"
    " it can; if it does not, press Retry.",
}
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NotFound(Exception):
    """There is no such conversation (or it is somebody else's, which must look the same)."""


class Runner:
    """Holds the live conversations. `removed(id)` is awaited once one is deleted, for its kernel and its files."""

    def __init__(
        self,
        database: Database,
        answer: Callable[[dict[str, Any]], Awaitable[None]],
        removed: Callable[[str], Awaitable[None]],
        idle_seconds: float,
        retention_days: float = 0,
    ) -> None:
        self.database = database
        self.feed = Channel()
        self.closing = False
        self.watch: Callable[[events.Event], None] = lambda event: None
        """Is told every event of every conversation; what it must not do is raise or wait."""
        self._answer = answer
        self._removed = removed
        self._idle_seconds = idle_seconds
        self._retention_days = retention_days
        self._live: dict[str, Conversation] = {}
        self._loading: dict[str, asyncio.Task[Conversation]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recover what a crash left behind, then run what was accepted and may run."""
        self.feed.mark()
        await self.database.transact(catalog.recover_all)
        await self._wake_runnable()
        self._sweeper = asyncio.create_task(self._sweep(), name="sweep")

    def create(self, conversation_id: str) -> Conversation:
        """A conversation that is stored with its first message."""
        return self._add(conversation_id, [], new_state(conversation_id))

    def forget_unstored(self, conversation: Conversation) -> None:
        """Nobody said anything: it never was."""
        if not conversation.stored:
            self._live.pop(conversation.id, None)

    @property
    def live(self) -> list[Conversation]:
        return list(self._live.values())

    async def get_or_create(self, conversation_id: str) -> Conversation:
        """Like get; what is not found is made, to be stored with its first message."""
        try:
            return await self.get(conversation_id)
        except NotFound:
            return self._live.get(conversation_id) or self.create(conversation_id)

    async def get(self, conversation_id: str) -> Conversation:
        """The live conversation, loaded if need be, once however many ask. Raises NotFound."""
        if not ID.fullmatch(conversation_id):
            raise NotFound(conversation_id)
        conversation = self._live.get(conversation_id)
        if conversation and conversation.stored:
            conversation.used_at = time.monotonic()
            return conversation
        if conversation_id not in self._loading:
            task = asyncio.create_task(self._load(conversation_id))
            self._loading[conversation_id] = task
            task.add_done_callback(lambda _: self._loading.pop(conversation_id, None))
        return await asyncio.shield(self._loading[conversation_id])

    async def _load(self, conversation_id: str) -> Conversation:
        messages, state = await ConversationStore(self.database, conversation_id).load()
        if state["version"] == 0:
            raise NotFound(conversation_id)
        if waiting := self._live.get(conversation_id):
            waiting.emit(events.state_snapshot(state))
            return waiting
        return self._add(conversation_id, messages, state)

    def _add(self, conversation_id: str, messages: list[dict[str, Any]], state: dict[str, Any]) -> Conversation:
        store = ConversationStore(self.database, conversation_id)
        store.paused = self.closing
        conversation = Conversation(store, messages, state, self._note)
        self._live[conversation_id] = conversation
        return conversation

    def _note(self, event: events.Event) -> None:
        self.watch(event)
        if event["type"] == "STATE_SNAPSHOT":
            self._tell_feed(event["snapshot"])

    def _tell_feed(self, state: dict[str, Any]) -> None:
        summary = state["conversation"] | {"status": state["status"], "updatedAt": catalog.iso(time.time())}
        self.feed.publish(events.custom("conversation_changed", summary))
        self.feed.mark()

    def wake(self, conversation: Conversation) -> None:
        """See to it that the conversation's work is done; harmless when there is none."""
        conversation.woken = True
        if not conversation.busy and not self.closing:
            conversation.task = asyncio.create_task(self._work(conversation), name=f"run {conversation.id}")

    async def _work(self, conversation: Conversation) -> None:
        while conversation.woken and not self.closing:
            conversation.woken = False
            try:
                await self._answer(conversation.shared)
                if conversation.shared["turn"]:
                    raise RuntimeError("the flow ended inside a run: a node's action has no edge in flow.py")
            except Exception:
                log.exception("conversation %s: the flow broke off; its run is closed as failed", conversation.id)
                await self._repair(conversation)

    async def _repair(self, conversation: Conversation) -> None:
        """Close a run that the flow could not close itself, as soon as the store takes it; then what waits may run."""
        turn = conversation.shared["turn"]
        error = turn["error"] if turn and turn["error"] else BROKEN_OFF
        conversation.emit(events.notice(error["message"]))
        while True:
            await asyncio.sleep(REPAIR_SECONDS)
            try:
                messages, state = await conversation.store.recover(error)
                break
            except Exception:
                log.exception("conversation %s: the store does not answer; trying again", conversation.id)
        conversation.shared["turn"] = None
        conversation.replace_history(messages)
        if turn:
            conversation.emit(events.run_error(error["message"], error["code"]))
        conversation.emit(events.state_snapshot(state))
        conversation.woken = True

    async def delete(self, conversation: Conversation) -> None:
        """Stop it, remove its rows, let its kernel and files go, and send its readers away."""
        async with conversation.commands:
            conversation.store.paused = True
            conversation.stop.set()
            await self._join([conversation], SHUTDOWN_SECONDS)
            self._live.pop(conversation.id, None)
            code = GOING_AWAY
            try:
                await conversation.store.transact(catalog.delete)
                code = DELETED
            finally:  # if the rows are still there, whoever reconnects finds them
                conversation.channel.close(code)
        self.feed.publish(events.custom("conversation_deleted", {"id": conversation.id}))
        self.feed.mark()
        await self._removed(conversation.id)

    async def close(self) -> None:
        """Take no new work, interrupt and store what runs, send every reader away."""
        self.closing = True
        if self._sweeper:
            self._sweeper.cancel()
        for conversation in self._live.values():
            conversation.store.paused = True
            conversation.stop.set()
        busy = [conversation for conversation in self._live.values() if conversation.busy]
        try:
            await self.database.transact(lambda c: catalog.hold(c, [conversation.id for conversation in busy]))
        except Exception:
            log.exception("what waits could not be held; the next start will do it")
        await self._join(busy, SHUTDOWN_SECONDS)
        for conversation in self._live.values():
            conversation.channel.close(GOING_AWAY)
        self.feed.close(GOING_AWAY)

    async def _join(self, conversations: list[Conversation], seconds: float) -> None:
        tasks = [conversation.task for conversation in conversations if conversation.task]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            log.warning("%s did not stop in %s s and is cancelled", task.get_name(), seconds)
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._wake_runnable()
                await self._delete_expired()
                self._forget_idle()
            except Exception:
                log.exception("the sweep failed; it will be tried again")

    async def _wake_runnable(self) -> None:
        for conversation_id in await self.database.transact(catalog.runnable):
            self.wake(await self.get(conversation_id))

    async def _delete_expired(self) -> None:
        if self._retention_days:
            before = int((time.time() - self._retention_days * 86_400) * 1000)
            for conversation_id in await self.database.transact(lambda c: catalog.untouched_since(c, before)):
                await self.delete(await self.get(conversation_id))

    def _forget_idle(self) -> None:
        before = time.monotonic() - self._idle_seconds
        for conversation in list(self._live.values()):
            at_work = conversation.busy or conversation.channel.readers or conversation.commands.locked()
            if not at_work and conversation.used_at < before:
                del self._live[conversation.id]
