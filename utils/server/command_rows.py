"""What each command does to the rows: check first, then write, all in one transaction.

A handler takes (connection, conversation id, command) and returns an Effect or a refusal; it is not called for a
command id that was answered before.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

import orjson

from utils.server import agui_rows, history_rows
from utils.server.history_rows import Command, Effect, Refused, running, settle_unless_running
from utils.server.rows import (
    DEFAULT_AGENT,
    cancel_approvals,
    change,
    dump,
    hold_waiting,
    insert_run,
    new_id,
    now_ms,
    read_state,
    settle,
)
from utils.server.store import ConversationStore


async def known_answer(store: ConversationStore, command: Command) -> dict[str, Any] | None:
    """The answer that this command id got before."""
    if "commandId" not in command:
        return None
    return await store.transact(lambda c, cid: _known_answer(c, cid, command["commandId"]))


async def apply(store: ConversationStore, command: Command, max_queue: int) -> Effect:
    """Carry out one command as one transaction. A refusal is an answer too: `{code, message}`."""

    def work(c: sqlite3.Connection, cid: str) -> Effect:
        before = c.execute("SELECT version FROM conversations WHERE id = ?", (cid,)).fetchone()
        try:
            if before is None and command["type"] != "user_message":
                raise Refused("not_found", "This conversation has no messages yet.")
            effect = HANDLERS[command["type"]](c, cid, command | {"max_queue": max_queue})
        except Refused as refusal:
            effect = Effect(dict(zip(("code", "message"), refusal.args, strict=True)))
        if before and "commandId" in command:
            _remember(c, cid, command["commandId"], effect.answer)
        after = read_state(c, cid)
        if after["version"] != (before["version"] if before else 0):
            effect.state = after
        return effect

    return await store.transact(work)


def _known_answer(c: sqlite3.Connection, cid: str, command_id: str) -> dict[str, Any] | None:
    row = c.execute(
        "SELECT answer FROM commands WHERE conversation_id = ? AND command_id = ?", (cid, command_id)
    ).fetchone()
    return orjson.loads(row["answer"]) if row else None


def _remember(c: sqlite3.Connection, cid: str, command_id: str, answer: dict[str, Any]) -> None:
    c.execute("INSERT OR REPLACE INTO commands VALUES (?, ?, ?)", (cid, command_id, dump(answer)))


def _user_message(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    message_id, run_id = command.get("id") or new_id("msg"), command.get("runId") or new_id("run")
    title = " ".join(command["content"].split())[:60]
    known = _find_message(c, cid, message_id)
    if known:
        return Effect({"messageId": message_id, "runId": known})
    waiting = c.execute(
        "SELECT COUNT(*) AS n FROM runs"
        " WHERE conversation_id = ? AND kind = 'message' AND status IN ('waiting', 'held')",
        (cid,),
    ).fetchone()["n"]
    if waiting >= command["max_queue"]:
        raise Refused("queue_full", f"{waiting} messages are waiting already. Remove one, or wait for an answer.")
    if c.execute("SELECT 1 FROM runs WHERE conversation_id = ? AND id = ?", (cid, run_id)).fetchone():
        raise Refused("conflict", f"The run id {run_id} was used before. Choose another.")
    c.execute(
        "INSERT INTO conversations (id, title, agent, updated_at) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (id) DO UPDATE SET title = CASE title WHEN '' THEN excluded.title ELSE title END",
        (cid, title, command.get("agent", DEFAULT_AGENT), now_ms()),
    )
    columns = {"message_id": message_id, "content": command["content"], "urgent": command["when"] == "now"}
    if "options" in command:
        columns["options"] = dump(command["options"])
    insert_run(c, cid, run_id, "message", **columns)
    if "commandId" in command:
        _remember(c, cid, command["commandId"], {"messageId": message_id, "runId": run_id})
    effect = Effect({"messageId": message_id, "runId": run_id})
    if command["when"] == "now":
        effect.stopped_run = _make_way(c, cid)
    else:
        settle_unless_running(c, cid)
    return effect


def _find_message(c: sqlite3.Connection, cid: str, message_id: str) -> str | None:
    """The run id of a message that was accepted before, wherever it is now."""
    row = c.execute(
        "SELECT id FROM runs WHERE conversation_id = ? AND kind = 'message' AND message_id = ?", (cid, message_id)
    ).fetchone()
    if row:
        return str(row["id"])
    if c.execute("SELECT 1 FROM messages WHERE conversation_id = ? AND id = ?", (cid, message_id)).fetchone():
        raise Refused("conflict", f"The message id {message_id} is in use. Choose another.")
    return None


def _make_way(c: sqlite3.Connection, cid: str) -> str | None:
    """For a message sent as `now`: stop the run or cancel the open approvals, hold nothing."""
    run_id = running(c, cid)
    if run_id:
        change(c, cid, status="stopping")
    else:
        _withdraw(c, cid)
        settle(c, cid)
    return run_id


def _withdraw(c: sqlite3.Connection, cid: str) -> str | None:
    """Cancel what has not begun, but for messages: the id of the run that tells of the approvals, if any are open."""
    c.execute(
        "UPDATE runs SET status = 'cancelled'"
        " WHERE conversation_id = ? AND status = 'waiting' AND kind IN ('regenerate', 'edit')",
        (cid,),
    )
    if c.execute("SELECT 1 FROM tool_calls WHERE conversation_id = ? AND status <> 'done'", (cid,)).fetchone():
        return cancel_approvals(c, cid)
    return None


def _stop(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    state = read_state(c, cid)
    if state["status"] == "idle" or command.get("runId", state.get("runId")) != state.get("runId"):
        return Effect()
    hold_waiting(c, cid)
    if run_id := running(c, cid):
        change(c, cid, status="stopping")
        return Effect({"runId": run_id}, stopped_run=run_id)
    cancelled = _withdraw(c, cid)
    settle(c, cid)
    return Effect({"runId": cancelled} if cancelled else {})


def _resume(c: sqlite3.Connection, cid: str, command: Command) -> Effect:
    decisions = [(_decided(c, cid, entry), entry) for entry in command["resume"]]
    if len({call["id"] for call, _ in decisions}) < len(decisions):
        raise Refused("bad_command", "An interrupt may be decided once in a command.")
    fresh = [(call, entry) for call, entry in decisions if call["status"] == "pending"]
    for call, entry in fresh:
        _record(c, cid, call, entry)
    still_open = c.execute(
        "SELECT 1 FROM tool_calls WHERE conversation_id = ? AND status = 'pending'", (cid,)
    ).fetchone()
    if still_open or not fresh:
        if fresh:
            change(c, cid)
        return Effect(_resume_answer(c, cid))
    insert_run(c, cid, command.get("runId") or new_id("run"), "resume", options=dump(command.get("options", {})))
    settle(c, cid)
    return Effect(_resume_answer(c, cid))


def _resume_answer(c: sqlite3.Connection, cid: str) -> dict[str, Any]:
    row = c.execute(
        "SELECT id FROM runs WHERE conversation_id = ? AND kind = 'resume' AND status IN ('waiting', 'running')", (cid,)
    ).fetchone()
    return {"runId": row["id"]} if row else {}


def _decided(c: sqlite3.Connection, cid: str, entry: dict[str, Any]) -> sqlite3.Row:
    """The call that the entry decides; raises Refused if it cannot be decided so."""
    call: sqlite3.Row | None = c.execute(
        "SELECT * FROM tool_calls WHERE conversation_id = ? AND id = ? AND interrupt IS NOT NULL",
        (cid, entry["interruptId"]),
    ).fetchone()
    if call is None:
        raise Refused("not_found", f"There is no approval {entry['interruptId']} here.")
    if entry["status"] == "resolved":
        _check_payload(entry.get("payload"), orjson.loads(call["interrupt"])["responseSchema"])
    if call["status"] != "pending" and call["decision"] != _decision(entry):
        raise Refused("conflict", "This was decided already, otherwise. Nothing was changed.")
    return call


def _check_payload(payload: Any, schema: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator  # imported late: it is slow to load and most runs need no approval

    problem = next(Draft202012Validator(schema).iter_errors(payload), None)
    if problem:
        where = ".".join(str(part) for part in problem.absolute_path) or "payload"
        raise Refused("bad_command", f"The decision is not valid: {where}: {problem.message[:300]}.")


def _decision(entry: dict[str, Any]) -> str:
    payload = entry.get("payload") if entry["status"] == "resolved" else None
    return orjson.dumps([entry["status"], payload], option=orjson.OPT_SORT_KEYS).decode()


def _record(c: sqlite3.Connection, cid: str, call: sqlite3.Row, entry: dict[str, Any]) -> None:
    payload = entry.get("payload") or {}
    cancelled = entry["status"] == "cancelled"
    status = "cancelled" if cancelled else "approved" if payload["approved"] else "rejected"
    edited = dump(payload["editedArgs"]) if status == "approved" and payload.get("editedArgs") is not None else None
    c.execute(
        "UPDATE tool_calls SET status = ?, edited_arguments = ?, reason = ?, decision = ?, decided_at = ?"
        " WHERE conversation_id = ? AND id = ?",
        (status, edited, None if cancelled else payload.get("reason"), _decision(entry), now_ms(), cid, call["id"]),
    )


HANDLERS: dict[str, Callable[[sqlite3.Connection, str, Command], Effect]] = {
    "user_message": _user_message,
    "stop": _stop,
    "resume": _resume,
    "queue_edit": history_rows.queue_edit,
    "queue_remove": history_rows.queue_remove,
    "queue_release": history_rows.queue_release,
    "queue_clear": history_rows.queue_clear,
    "regenerate": history_rows.regenerate,
    "edit_message": history_rows.edit_message,
    "delete_message": history_rows.delete_message,
    "tool_results": agui_rows.tool_results,
    "abandon": agui_rows.abandon,
}
