"""What the AG-UI door reads and writes besides the common commands. Handlers as in command_rows.py.

A run of kind `results` brings what the client's own tools returned and no new message of the person.
"""

import sqlite3
from dataclasses import dataclass

from utils.server.history_rows import Command, Effect, Refused, settle_unless_running
from utils.server.rows import dump, insert_run


@dataclass(frozen=True)
class Standing:
    """How a conversation stands to a request: which of its ids are known, and what is open."""

    run_is_known: bool
    messages: set[str]
    """Ids of messages that are stored or wait."""
    open: set[str]
    """Ids of approvals that nobody has decided."""
    asked: set[str]
    """Ids of all approvals ever asked for, the open ones too."""
    ours: set[str]
    """Ids of tool calls that run on the server."""


def standing(c: sqlite3.Connection, cid: str, run_id: str) -> Standing:
    def ids(query: str) -> set[str]:
        return {row[0] for row in c.execute(query, (cid,))}

    known = c.execute("SELECT 1 FROM runs WHERE conversation_id = ? AND id = ?", (cid, run_id)).fetchone()
    stored = ids("SELECT id FROM messages WHERE conversation_id = ?")
    return Standing(
        run_is_known=known is not None,
        messages=stored | ids("SELECT message_id FROM runs WHERE conversation_id = ? AND message_id IS NOT NULL"),
        open=ids("SELECT id FROM tool_calls WHERE conversation_id = ? AND status = 'pending'"),
        asked=ids("SELECT id FROM tool_calls WHERE conversation_id = ? AND interrupt IS NOT NULL"),
        ours=ids("SELECT id FROM tool_calls WHERE conversation_id = ?"),
    )


def run_status(c: sqlite3.Connection, cid: str, run_id: str) -> str:
    row = c.execute("SELECT status FROM runs WHERE conversation_id = ? AND id = ?", (cid, run_id)).fetchone()
    return str(row["status"]) if row else "removed"


def tool_results(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    """Accept a run that goes on with the tool messages in `options.messages`."""
    if c.execute("SELECT 1 FROM runs WHERE conversation_id = ? AND id = ?", (cid, command["runId"])).fetchone():
        raise Refused("conflict", f"The run id {command['runId']} was used before. Choose another.")
    insert_run(c, cid, command["runId"], "results", options=dump(command["options"]))
    settle_unless_running(c, cid)
    return Effect({"runId": command["runId"]})


def abandon(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    """Remove a run that has not begun, because whoever asked for it has gone."""
    c.execute(
        "UPDATE runs SET status = 'removed' WHERE conversation_id = ? AND id = ?"
        " AND status IN ('waiting', 'held') AND kind IN ('message', 'results')",
        (cid, command["runId"]),
    )
    settle_unless_running(c, cid)
    return Effect()
