"""POST /agui: one run for any AG-UI client. RunAgentInput in, that run's events out, from RUN_STARTED to its end.

The store's history wins: of the input's messages only what is new at their end is taken. Closing the request is the
protocol's only Stop.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from utils.server import agui_rows, commands, events
from utils.server.agui_input import agent_of, fresh_messages, options_of, parse
from utils.server.bus import Gone
from utils.server.commands import Rejected
from utils.server.conversation import Conversation
from utils.server.events import Event
from utils.server.metrics import Metrics
from utils.server.problems import refuse, refused
from utils.server.rows import Message
from utils.server.runner import Runner
from utils.server.settings import Settings
from utils.server.sse import EventStream

if TYPE_CHECKING:
    from ag_ui.core import RunAgentInput

log = logging.getLogger(__name__)
HIDDEN = ("STATE_SNAPSHOT", "STATE_DELTA")
ENDS = ("RUN_FINISHED", "RUN_ERROR")
WITHDRAWN = {
    "held": "The message is held, because an earlier run was stopped or failed. It can be released in the chat.",
    "removed": "The run was removed from the queue before its turn came.",
    "cancelled": "The run was cancelled before it began.",
}
GONE = "The server is stopping, or the conversation was deleted."


def create_router(runner: Runner, settings: Settings, metrics: Metrics, agents: Collection[str]) -> APIRouter:
    """POST /agui. `agents` can answer."""
    router = APIRouter()

    @router.post("/agui", include_in_schema=False)
    async def run_agent(request: Request) -> Response:
        wanted = parse(await request.body(), agents)
        conversation = await runner.get_or_create(wanted.thread_id)
        chunks = _stream(Run(runner, settings, conversation, wanted))
        await anext(chunks)  # accepted; until here an error is an HTTP error
        return EventStream(chunks, settings.send_seconds, metrics.readers.labels("agui"))

    return router


async def _stream(run: "Run") -> AsyncGenerator[bytes, None]:
    """First nothing, once the run is accepted (or an HTTPException), then its events as SSE. Closed early, it stops."""
    place = run.conversation.channel.place
    instead = await run.accept()
    ended = False
    try:
        yield b""
        yield _frame(events.run_started(run.conversation.id, run.id, []))
        async with contextlib.aclosing(_each(instead) if instead else run.follow(place)) as told:
            async for event in told:
                ended = event["type"] in ENDS
                yield _frame(event)
                if ended:
                    return
    finally:
        if not ended:
            await run.abandon()


async def _each(told: list[Event]) -> AsyncGenerator[Event, None]:
    for event in told:
        yield event


def _frame(event: Event) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(event)


class Run:
    """One request's run: what it asks of the conversation, and what becomes of it."""

    def __init__(self, runner: Runner, settings: Settings, conversation: Conversation, wanted: "RunAgentInput") -> None:
        self.id = wanted.run_id
        self.conversation = conversation
        self._runner, self._settings, self._wanted = runner, settings, wanted

    async def accept(self) -> list[Event]:
        """Take in what the input brings. The events are all there is to tell; none: the run is accepted and will come.

        Raises HTTPException for what cannot be accepted.
        """
        standing = await self.conversation.store.transact(partial(agui_rows.standing, run_id=self.id))
        if standing.run_is_known:
            raise refuse(409, "conflict", f"The run id {self.id} was used before. Choose another.")
        fresh = fresh_messages(self._wanted, standing, self.conversation.shared["messages"], self._settings)
        answers = {entry.interrupt_id for entry in self._wanted.resume or ()}
        if missing := standing.open - answers:
            return [events.run_error(f"Approvals are open and must all be decided: {', '.join(missing)}.", "awaiting")]
        if unknown := answers - standing.asked:
            return [events.run_error(f"There is no approval {', '.join(unknown)} here.", "not_found")]
        command = self._command(fresh, standing.open)
        return await self._carry_out(command) if command else self._nothing_new()

    def _command(self, fresh: list[Message], open_approvals: set[str]) -> dict[str, Any] | None:
        """The command that the input amounts to, if it brings anything new."""
        if open_approvals:
            options, answers = options_of(self._wanted, fresh), self._wanted.resume or ()
            resume = [entry.model_dump(by_alias=True) for entry in answers if entry.interrupt_id in open_approvals]
            return {"type": "resume", "runId": self.id, "resume": resume, "options": options}
        if not fresh:
            return None
        if fresh[-1]["role"] == "tool":
            return {"type": "tool_results", "runId": self.id, "options": options_of(self._wanted, fresh)}
        *before, message = fresh
        command = {"type": "user_message", "runId": self.id, "when": "queue", "agent": agent_of(self._wanted)}
        content = {"id": message["id"], "content": message["content"], "options": options_of(self._wanted, before)}
        return command | content

    async def _carry_out(self, command: dict[str, Any]) -> list[Event]:
        try:
            answer = await commands.execute(self._runner, self.conversation, command, self._settings)
        except Rejected as rejected:
            if command["type"] == "resume":
                return [events.run_error(rejected.message, rejected.code)]
            raise refused(rejected) from rejected
        return [] if answer.get("runId") == self.id else self._nothing_new()

    def _nothing_new(self) -> list[Event]:
        """Everything is known already, or was decided elsewhere: the client learns how the conversation stands."""
        history = events.messages_snapshot(list(self.conversation.shared["messages"]))
        return [history, events.run_finished(self.conversation.id, self.id, {"type": "success"}, [], {"durationMs": 0})]

    async def follow(self, place: str) -> AsyncGenerator[Event, None]:
        """This run's events out of all the conversation's after `place`; RUN_ERROR if it will never begin."""
        begun = False
        try:
            async with contextlib.aclosing(self.conversation.channel.read(place)) as batches:
                async for event in (entry.event async for batch in batches for entry in batch):
                    if begun and event["type"] not in HIDDEN:
                        yield event
                    elif event["type"] == "RUN_STARTED":
                        begun = begun or event["runId"] == self.id
                    elif not begun and event["type"] == "STATE_SNAPSHOT" and (why := await self._withdrawn()):
                        yield events.run_error(why, "not_run")
        except Gone:
            yield events.run_error(GONE, "closed")

    async def _withdrawn(self) -> str | None:
        status = await self.conversation.store.transact(partial(agui_rows.run_status, run_id=self.id))
        return WITHDRAWN.get(status)

    async def abandon(self) -> None:
        """The client has gone: remove the run while it waits, stop it once it runs."""
        for command in ({"type": "abandon", "runId": self.id}, {"type": "stop", "runId": self.id}):
            try:
                await commands.execute(self._runner, self.conversation, command, self._settings)
            except Rejected as rejected:
                log.info("conversation %s: %s: %s", self.conversation.id, command["type"], rejected.message)
