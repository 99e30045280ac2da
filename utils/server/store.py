"""What survives of one conversation: its messages, its runs (waiting ones are the queue), its tool calls, its state.

Every method is one transaction.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from utils.server.database import Database, T
from utils.server.rows import (
    RESTARTED,
    Message,
    cancel_approvals,
    change,
    drop_messages,
    dump,
    hold_waiting,
    message_position,
    next_run,
    now_ms,
    put_message,
    read_messages,
    read_state,
    settle,
    tool_message,
)

OUTCOME_UNKNOWN = "Outcome unknown: the server broke off while this ran. It may have had effects. It was not run again."
NOT_EXECUTED = "Not executed."


@dataclass(frozen=True)
class ToolCall:
    """One call as its row has it. `status`: new, pending, approved, rejected, cancelled, executing or done."""

    id: str
    name: str
    arguments: str
    status: str = "new"
    edited_arguments: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Work:
    """What a run starts with. `history` is given when earlier messages changed and must be told anew."""

    kind: str
    run_id: str
    state: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    """The new ones, oldest first."""
    history: list[Message] | None = None
    calls: list[ToolCall] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


class ConversationStore:
    """This conversation's durable rows, shared by the flow, the commands and the runner."""

    def __init__(self, database: Database, conversation_id: str) -> None:
        self._database = database
        self.conversation_id = conversation_id
        self.paused = False
        """Set when the server stops or the conversation goes: no run starts any more."""

    async def transact(self, work: Callable[[sqlite3.Connection, str], T], flush: bool = True) -> T:
        return await self._database.transact(lambda c: work(c, self.conversation_id), flush)

    async def load(self) -> tuple[list[Message], dict[str, Any]]:
        """The history, oldest first, and the state."""
        return await self.transact(lambda c, cid: (read_messages(c, cid), read_state(c, cid)))

    async def take_work(self) -> Work | None:
        """Start the next run: decided approvals first, else the oldest message that is not held; None without work.

        What it was accepted with is on the disk already, so this need not be.
        """
        return None if self.paused else await self.transact(_take_work, flush=False)

    async def save(self, messages: list[Message], calls: list[ToolCall] | None = None) -> None:
        """Store new or changed messages, and the tool calls of an answer, in the order given.

        The disk has them with whatever follows: a call's start or the run's end.
        """

        def work(c: sqlite3.Connection, cid: str) -> None:
            for message in messages:
                put_message(c, cid, message)
            c.executemany(
                "INSERT OR REPLACE INTO tool_calls (conversation_id, id, position, name, arguments, status)"
                " VALUES (?, ?, ?, ?, ?, 'new')",
                [(cid, call.id, number, call.name, call.arguments) for number, call in enumerate(calls or [])],
            )

        await self.transact(work, flush=False)

    async def start_call(self, call_id: str) -> None:
        """Record that a call is about to run: from here on its outcome is unknown until finish_call."""
        await self.transact(lambda c, cid: _set_call(c, cid, call_id, "executing"))

    async def finish_call(self, call_id: str, result: Message) -> None:
        def work(c: sqlite3.Connection, cid: str) -> None:
            _set_call(c, cid, call_id, "done")
            put_message(c, cid, result)

        await self.transact(work)

    async def finish_run(self, record: dict[str, Any]) -> tuple[list[Message], list[Message] | None, dict[str, Any]]:
        """Close the run `record["run_id"]`: the results of calls that were left, the history if it failed, the state.

        `record`: messages still to store, status (success, interrupt, cancelled, error), error, interrupts, steps,
        usage `{inputTokens, outputTokens}`, first_token_ms, duration_ms. Without interrupts, a call that has no result
        gets one: not executed, or else outcome unknown.
        """
        return await self.transact(lambda c, cid: _finish_run(c, cid, record))

    async def recover(self, error: dict[str, str]) -> tuple[list[Message], dict[str, Any]]:
        """End the run that broke off, if there is one, with `error` `{code, message}`; what waits behind it is held."""

        def work(c: sqlite3.Connection, cid: str) -> tuple[list[Message], dict[str, Any]]:
            _end_broken_run(c, cid, error)
            return read_messages(c, cid), read_state(c, cid)

        return await self.transact(work)


def _set_call(c: sqlite3.Connection, cid: str, call_id: str, status: str) -> None:
    c.execute("UPDATE tool_calls SET status = ? WHERE conversation_id = ? AND id = ?", (status, cid, call_id))


def _take_work(c: sqlite3.Connection, cid: str) -> Work | None:
    run = next_run(c, cid)
    if run is None:
        return None
    options = orjson.loads(run["options"]) if run["options"] else {}
    messages, history = _apply(c, cid, run, options.get("messages", []))
    c.execute("UPDATE runs SET status = 'running', started_at = ? WHERE seq = ?", (now_ms(), run["seq"]))
    change(c, cid, status="running", run_id=run["id"], last_error=None)
    calls = c.execute(
        "SELECT id, name, arguments, status, edited_arguments, reason FROM tool_calls"
        " WHERE conversation_id = ? AND status <> 'done' ORDER BY position",
        (cid,),
    )
    return Work(
        kind=run["kind"],
        run_id=run["id"],
        state=read_state(c, cid),
        messages=messages,
        history=history,
        calls=[ToolCall(**dict(call)) for call in calls],
        options=options,
    )


def _apply(
    c: sqlite3.Connection, cid: str, run: sqlite3.Row, new: list[Message]
) -> tuple[list[Message], list[Message] | None]:
    """Change the history as the run asks: (the new messages, the whole history where earlier messages changed)."""
    if run["kind"] == "regenerate":
        _drop_last_answer(c, cid)
        return [], read_messages(c, cid)
    if run["kind"] == "edit":
        drop_messages(c, cid, message_position(c, cid, run["message_id"]) + 1)
    if run["message_id"]:
        said = {"id": run["message_id"], "role": "user", "content": run["content"], "metadata": {"status": "complete"}}
        new = [*new, said]
    for message in new:
        put_message(c, cid, message)
    return ([], read_messages(c, cid)) if run["kind"] == "edit" else (new, None)


def _drop_last_answer(c: sqlite3.Connection, cid: str) -> None:
    """After an error only what failed goes, so that finished tools are not run again; else the whole answer."""
    failed = c.execute("SELECT last_error FROM conversations WHERE id = ?", (cid,)).fetchone()["last_error"]
    kept = "role IN ('user', 'tool')" if failed else "role = 'user'"
    last = c.execute(
        f"SELECT MAX(position) AS position FROM messages WHERE conversation_id = ? AND {kept}", (cid,)
    ).fetchone()
    drop_messages(c, cid, last["position"] + 1)


def _finish_run(
    c: sqlite3.Connection, cid: str, record: dict[str, Any]
) -> tuple[list[Message], list[Message] | None, dict[str, Any]]:
    for message in record["messages"]:
        put_message(c, cid, message)
    results = [] if record["interrupts"] else _close_calls(c, cid, "The run ended before it.")
    _open_approvals(c, cid, record["interrupts"])
    columns = {name: record[name] for name in ("status", "first_token_ms", "duration_ms")}
    columns |= {name: dump(record[name]) for name in ("steps", "usage", "error")}
    assignments = ", ".join(f"{name} = ?" for name in columns)
    c.execute(
        f"UPDATE runs SET {assignments}, options = NULL WHERE conversation_id = ? AND id = ?",
        (*columns.values(), cid, record["run_id"]),
    )
    c.execute(
        "UPDATE conversations SET input_tokens = input_tokens + ?, output_tokens = output_tokens + ? WHERE id = ?",
        (record["usage"].get("inputTokens", 0), record["usage"].get("outputTokens", 0), cid),
    )
    if record["error"]:
        hold_waiting(c, cid)
    settle(c, cid, last_error=columns["error"] if record["error"] else None)
    return results, read_messages(c, cid) if record["error"] else None, read_state(c, cid)


def _open_approvals(c: sqlite3.Connection, cid: str, interrupts: list[dict[str, Any]]) -> None:
    c.executemany(
        "UPDATE tool_calls SET status = 'pending', interrupt = ? WHERE conversation_id = ? AND id = ?",
        [(dump(interrupt), cid, interrupt["toolCallId"]) for interrupt in interrupts],
    )
    status = c.execute("SELECT status FROM conversations WHERE id = ?", (cid,)).fetchone()["status"]
    if interrupts and status == "stopping":
        cancel_approvals(c, cid)


def recover(c: sqlite3.Connection, cid: str) -> None:
    """After a crash, for every conversation that was at work: what ran is interrupted, what waited is held."""
    hold_waiting(c, cid)
    _end_broken_run(c, cid, RESTARTED)


def _end_broken_run(c: sqlite3.Connection, cid: str, error: dict[str, str]) -> None:
    broken = c.execute("SELECT id FROM runs WHERE conversation_id = ? AND status = 'running'", (cid,)).fetchone()
    if broken is None:
        return settle(c, cid)
    hold_waiting(c, cid)
    _close_calls(c, cid, "The server stopped before it ran.")
    failed = ("error", dump(error), cid, broken["id"])
    c.execute("UPDATE runs SET status = ?, error = ? WHERE conversation_id = ? AND id = ?", failed)
    settle(c, cid, last_error=dump(error))


def _close_calls(c: sqlite3.Connection, cid: str, why: str) -> list[Message]:
    open_calls = "SELECT id, status FROM tool_calls WHERE conversation_id = ? AND status <> 'done' ORDER BY position"
    results = []
    for call in c.execute(open_calls, (cid,)).fetchall():
        began = call["status"] == "executing"
        outcome, text = ("unknown", OUTCOME_UNKNOWN) if began else ("cancelled", f"{NOT_EXECUTED} {why}")
        results.append(tool_message(call["id"], text, outcome))
        put_message(c, cid, results[-1])
        _set_call(c, cid, call["id"], "done")
    return results
