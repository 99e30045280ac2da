"""One conversation's rows, read and written inside a transaction: plain functions over a SQLite connection.

`c` is the connection, `cid` the conversation's id. A row's JSON (`body`, `interrupt`, …) is what goes over the wire.
"""

import secrets
import sqlite3
import time
from typing import Any

import orjson

Message = dict[str, Any]
DEFAULT_AGENT = "assistant"
RESTARTED = {
    "code": "server_restarted",
    "message": "The server stopped while this was being answered. What had arrived is kept. Press Retry to go on.",
}


def new_id(prefix: str) -> str:
    """A fresh id that fits `^[A-Za-z0-9_-]{1,64}$`."""
    return f"{prefix}-{secrets.token_hex(8)}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def tool_message(
    call_id: str,
    content: str | list[dict[str, Any]],
    outcome: str,
    duration_ms: int | None = None,
    edited_arguments: str | None = None,
) -> Message:
    """The result of a tool call as it is stored and sent.

    `outcome`: completed, failed, rejected, cancelled, interrupted or unknown. `edited_arguments`: what ran in place of
    what the model asked for, as JSON.
    """
    metadata: dict[str, Any] = {"status": "complete", "outcome": outcome}
    if duration_ms is not None:
        metadata["durationMs"] = duration_ms
    if edited_arguments is not None:
        metadata["editedArguments"] = edited_arguments
    return {
        "id": f"result-{call_id}",
        "role": "tool",
        "toolCallId": call_id,
        "content": content,
        "metadata": metadata,
    }


def read_messages(c: sqlite3.Connection, cid: str) -> list[Message]:
    rows = c.execute("SELECT body FROM messages WHERE conversation_id = ? ORDER BY position", (cid,))
    return [orjson.loads(row["body"]) for row in rows]


def read_state(c: sqlite3.Connection, cid: str) -> dict[str, Any]:
    """The STATE_SNAPSHOT of PROTOCOL.md; of a conversation that is not stored yet, version 0."""
    row = c.execute("SELECT * FROM conversations WHERE id = ?", (cid,)).fetchone()
    if row is None:
        return new_state(cid)
    queue = c.execute(
        "SELECT message_id, content, status FROM runs WHERE conversation_id = ? AND kind = 'message'"
        " AND status IN ('waiting', 'held') ORDER BY urgent DESC, seq",
        (cid,),
    )
    open_calls = c.execute(
        "SELECT interrupt FROM tool_calls WHERE conversation_id = ? AND status = 'pending' ORDER BY position", (cid,)
    )
    state = new_state(cid, row["title"], row["agent"]) | {
        "version": row["version"],
        "status": row["status"],
        "queue": [{"id": q["message_id"], "content": q["content"], "held": q["status"] == "held"} for q in queue],
        "interrupts": [orjson.loads(call["interrupt"]) for call in open_calls],
        "usage": {"inputTokens": row["input_tokens"], "outputTokens": row["output_tokens"]},
    }
    if row["run_id"]:
        state["runId"] = row["run_id"]
    if row["last_error"]:
        state["lastError"] = orjson.loads(row["last_error"])
    return state


def new_state(cid: str, title: str = "", agent: str = DEFAULT_AGENT) -> dict[str, Any]:
    return {
        "version": 0,
        "conversation": {"id": cid, "title": title, "agent": agent},
        "status": "idle",
        "queue": [],
        "interrupts": [],
        "usage": {"inputTokens": 0, "outputTokens": 0},
    }


def change(c: sqlite3.Connection, cid: str, **columns: Any) -> None:
    """Set columns of the conversation; its state's version goes up by one."""
    columns.setdefault("updated_at", now_ms())
    assignments = ", ".join(f"{name} = ?" for name in columns)
    c.execute(f"UPDATE conversations SET version = version + 1, {assignments} WHERE id = ?", (*columns.values(), cid))


def put_message(c: sqlite3.Connection, cid: str, message: Message) -> None:
    """Append the message, or replace the one with its id where it stands."""
    content = message.get("content", "")
    text = content if isinstance(content, str) else "\n".join(p.get("text", "") for p in content)
    c.execute(
        "INSERT INTO messages (conversation_id, position, id, role, text, body) VALUES (?1,"
        " (SELECT COALESCE(MAX(position), 0) + 1 FROM messages WHERE conversation_id = ?1), ?2, ?3, ?4, ?5)"
        " ON CONFLICT (conversation_id, id) DO UPDATE SET text = excluded.text, body = excluded.body",
        (cid, message["id"], message["role"], text, dump(message)),
    )


def drop_messages(c: sqlite3.Connection, cid: str, first: int, last: int | None = None) -> None:
    """Remove the messages at positions `first` to `last` inclusive; without `last`, to the end."""
    condition = "conversation_id = ? AND position >= ?" + (" AND position <= ?" if last is not None else "")
    bounds = (cid, first) if last is None else (cid, first, last)
    c.execute(f"DELETE FROM messages WHERE {condition}", bounds)


def next_run(c: sqlite3.Connection, cid: str) -> sqlite3.Row | None:
    """The run that may start: none while an approval is open."""
    if c.execute("SELECT 1 FROM tool_calls WHERE conversation_id = ? AND status = 'pending'", (cid,)).fetchone():
        return None
    row: sqlite3.Row | None = c.execute(
        "SELECT * FROM runs WHERE conversation_id = ? AND status = 'waiting'"
        " ORDER BY kind = 'resume' DESC, urgent DESC, seq LIMIT 1",
        (cid,),
    ).fetchone()
    return row


def insert_run(c: sqlite3.Connection, cid: str, run_id: str, kind: str, **columns: Any) -> None:
    values = {"conversation_id": cid, "id": run_id, "kind": kind, "status": "waiting"} | columns
    marks = ", ".join("?" * len(values))
    c.execute(f"INSERT INTO runs ({', '.join(values)}) VALUES ({marks})", (*values.values(),))


def hold_waiting(c: sqlite3.Connection, cid: str) -> None:
    """Messages wait until they are released; the results of a client's own tools it can send again."""
    c.execute(
        "UPDATE runs SET status = CASE kind WHEN 'message' THEN 'held' ELSE 'removed' END"
        " WHERE conversation_id = ? AND status = 'waiting' AND kind IN ('message', 'results')",
        (cid,),
    )


def message_position(c: sqlite3.Connection, cid: str, message_id: str) -> int:
    row = c.execute("SELECT position FROM messages WHERE conversation_id = ? AND id = ?", (cid, message_id)).fetchone()
    return int(row["position"])


def cancel_approvals(c: sqlite3.Connection, cid: str) -> str:
    """Mark every open call cancelled and accept the short run that says so; returns its run id."""
    c.execute("UPDATE tool_calls SET status = 'cancelled' WHERE conversation_id = ? AND status <> 'done'", (cid,))
    waiting = c.execute(
        "SELECT id FROM runs WHERE conversation_id = ? AND kind = 'resume' AND status = 'waiting'", (cid,)
    ).fetchone()
    if waiting:
        return str(waiting["id"])
    run_id = new_id("run")
    insert_run(c, cid, run_id, "resume")
    return run_id


def settle(c: sqlite3.Connection, cid: str, **columns: Any) -> None:
    """Set the status that the rows call for: awaiting, running (the next run's id is known already) or idle."""
    if c.execute("SELECT 1 FROM tool_calls WHERE conversation_id = ? AND status = 'pending'", (cid,)).fetchone():
        change(c, cid, status="awaiting", **columns)
        return
    run = next_run(c, cid)
    change(c, cid, status="running" if run else "idle", run_id=run["id"] if run else None, **columns)
