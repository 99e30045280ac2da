"""Commands on what waits and on what was said: queue_*, regenerate, edit_message, delete_message.

Handlers as in command_rows.py: they check first, then write, inside the caller's transaction.
"""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from utils.server.rows import (
    Message,
    change,
    drop_messages,
    insert_run,
    new_id,
    now_ms,
    read_messages,
    read_state,
    settle,
)

Command = dict[str, Any]


class Refused(Exception):
    """The command does not fit the rows: (code, message). Raised before anything is written."""


@dataclass
class Effect:
    """What the command did: the answer, the run that must stop, the new history and state where they changed."""

    answer: dict[str, Any] = field(default_factory=dict)
    stopped_run: str | None = None
    history: list[Message] | None = None
    state: dict[str, Any] | None = None


def running(c: sqlite3.Connection, cid: str) -> str | None:
    """The id of the run that has started and not ended."""
    row = c.execute("SELECT id FROM runs WHERE conversation_id = ? AND status = 'running'", (cid,)).fetchone()
    return row["id"] if row else None


def settle_unless_running(c: sqlite3.Connection, cid: str) -> None:
    if running(c, cid):
        change(c, cid)
    else:
        settle(c, cid)


def _waiting_message(c: sqlite3.Connection, cid: str, message_id: str) -> None:
    row = c.execute(
        "SELECT status FROM runs WHERE conversation_id = ? AND kind = 'message' AND message_id = ?", (cid, message_id)
    ).fetchone()
    if row is None:
        raise Refused("not_found", f"There is no waiting message {message_id}.")
    if row["status"] not in ("waiting", "held"):
        raise Refused("conflict", "This message is no longer waiting.")


def queue_edit(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    _waiting_message(c, cid, command["id"])
    c.execute(
        "UPDATE runs SET content = ? WHERE conversation_id = ? AND kind = 'message' AND message_id = ?",
        (command["content"], cid, command["id"]),
    )
    change(c, cid)
    return Effect({"messageId": command["id"]})


def queue_remove(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    _waiting_message(c, cid, command["id"])
    c.execute(
        "UPDATE runs SET status = 'removed' WHERE conversation_id = ? AND kind = 'message' AND message_id = ?",
        (cid, command["id"]),
    )
    settle_unless_running(c, cid)
    return Effect({"messageId": command["id"]})


def queue_release(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    c.execute("UPDATE runs SET status = 'waiting' WHERE conversation_id = ? AND status = 'held'", (cid,))
    settle_unless_running(c, cid)
    return Effect()


def queue_clear(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    c.execute(
        "UPDATE runs SET status = 'removed'"
        " WHERE conversation_id = ? AND kind = 'message' AND status IN ('waiting', 'held')",
        (cid,),
    )
    settle_unless_running(c, cid)
    return Effect()


def _need_idle(c: sqlite3.Connection, cid: str) -> None:
    status = read_state(c, cid)["status"]
    if status != "idle":
        raise Refused("conflict", f"The conversation is {status}. Stop it or wait, then try again.")


def regenerate(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    _need_idle(c, cid)
    if not c.execute("SELECT 1 FROM messages WHERE conversation_id = ? AND role = 'user'", (cid,)).fetchone():
        raise Refused("not_found", "There is no message to answer again.")
    run_id = new_id("run")
    insert_run(c, cid, run_id, "regenerate")
    settle(c, cid)
    return Effect({"runId": run_id})


def edit_message(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    _need_idle(c, cid)
    if _message(c, cid, command["id"])["role"] != "user":
        raise Refused("conflict", "Only your own messages can be edited.")
    run_id = new_id("run")
    insert_run(c, cid, run_id, "edit", message_id=command["id"], content=command["content"])
    settle(c, cid)
    return Effect({"messageId": command["id"], "runId": run_id})


def _message(c: sqlite3.Connection, cid: str, message_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = c.execute(
        "SELECT role, position FROM messages WHERE conversation_id = ? AND id = ?", (cid, message_id)
    ).fetchone()
    if row is None:
        raise Refused("not_found", f"There is no message {message_id}.")
    return row


def delete_message(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    """A user's message goes with its answer; any other message with what follows it in its turn."""
    _need_idle(c, cid)
    first = _message(c, cid, command["id"])["position"]
    following = c.execute(
        "SELECT MIN(position) AS position FROM messages WHERE conversation_id = ? AND role = 'user' AND position > ?",
        (cid, first),
    ).fetchone()["position"]
    drop_messages(c, cid, first, following - 1 if following else None)
    run_id = new_id("run")
    insert_run(c, cid, run_id, "delete", status="success", started_at=now_ms(), duration_ms=0)
    change(c, cid, last_error=None)
    return Effect({"messageId": command["id"], "runId": run_id}, history=read_messages(c, cid))
