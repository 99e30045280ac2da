"""The list of conversations, and what is done to a conversation as a whole. Functions over a connection."""

import sqlite3
from datetime import UTC, datetime
from typing import Any

import orjson

from utils.server import store
from utils.server.rows import hold_waiting, now_ms


def iso(seconds: float) -> str:
    """A time as ISO 8601 in UTC with milliseconds: 2026-11-20T14:00:00.000Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(row: sqlite3.Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "title", "agent", "status")} | {
        "updatedAt": iso(row["updated_at"] / 1000)
    }


def create(c: sqlite3.Connection, conversation_id: str, title: str, agent: str) -> bool:
    """Store a new conversation; False if the id is taken."""
    cursor = c.execute(
        "INSERT INTO conversations (id, title, agent, version, updated_at) VALUES (?, ?, ?, 1, ?)"
        " ON CONFLICT DO NOTHING",
        (conversation_id, title, agent, now_ms()),
    )
    return cursor.rowcount == 1


def delete(c: sqlite3.Connection, conversation_id: str) -> None:
    c.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))


def recent(c: sqlite3.Connection, query: str, limit: int, before: str) -> dict[str, Any]:
    """Newest first: `{conversations, next?}`; `next` is the `before` of the following page."""
    conditions, values = ["1"], []
    if query:
        like = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        conditions.append(
            "(title LIKE ? ESCAPE '\\' OR EXISTS (SELECT 1 FROM messages WHERE conversation_id = conversations.id"
            " AND role IN ('user', 'assistant') AND text LIKE ? ESCAPE '\\'))"
        )
        values += [like, like]
    if before:
        updated_at, _, last_id = before.partition("~")
        conditions.append("(updated_at, id) < (?, ?)")
        values += [updated_at, last_id]
    rows = c.execute(
        f"SELECT * FROM conversations WHERE {' AND '.join(conditions)} ORDER BY updated_at DESC, id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    page: dict[str, Any] = {"conversations": [summary(row) for row in rows[:limit]]}
    if len(rows) > limit:
        last = rows[limit - 1]
        page["next"] = f"{last['updated_at']}~{last['id']}"
    return page


def runs(c: sqlite3.Connection, conversation_id: str) -> list[dict[str, Any]]:
    """The trace: runs that have started, oldest first, with their steps, usage and timings."""
    rows = c.execute(
        "SELECT * FROM runs WHERE conversation_id = ? AND started_at IS NOT NULL ORDER BY started_at, seq",
        (conversation_id,),
    )
    return [_run(row) for row in rows]


def _run(row: sqlite3.Row) -> dict[str, Any]:
    run = {"id": row["id"], "kind": row["kind"], "status": row["status"], "startedAt": iso(row["started_at"] / 1000)}
    optional = {
        "durationMs": row["duration_ms"],
        "firstTokenMs": row["first_token_ms"],
        "steps": orjson.loads(row["steps"] or "[]"),
        "usage": orjson.loads(row["usage"] or "null"),
        "error": orjson.loads(row["error"] or "null"),
    }
    return run | {name: value for name, value in optional.items() if value is not None}


def runnable(c: sqlite3.Connection) -> list[str]:
    """The conversations with work that may start: their status says running."""
    return [row["id"] for row in c.execute("SELECT id FROM conversations WHERE status = 'running'")]


def untouched_since(c: sqlite3.Connection, before: int) -> list[str]:
    """The idle conversations that nothing has happened in since `before` (ms)."""
    return [
        row["id"]
        for row in c.execute("SELECT id FROM conversations WHERE status = 'idle' AND updated_at < ?", (before,))
    ]


def hold(c: sqlite3.Connection, conversation_ids: list[str]) -> None:
    """Mark what waits in these conversations held."""
    for conversation_id in conversation_ids:
        hold_waiting(c, conversation_id)


def recover_all(c: sqlite3.Connection) -> None:
    for row in c.execute("SELECT id FROM conversations WHERE status <> 'idle'").fetchall():
        store.recover(c, row["id"])
