"""The AsyncFlow that announces each node as a step and keeps the trace of the run."""

import copy
import logging
import time
from typing import Any

from pocketflow import AsyncFlow, AsyncNode, BaseNode

from utils.server import events
from utils.server.store import Work

log = logging.getLogger(__name__)
Shared = dict[str, Any]


class TracedFlow(AsyncFlow):
    """Runs like an AsyncFlow. A node with `announced = False` stands outside the run and is not told.

    Any other node may be plain or async; what it raises ends the run as failed, not the chat, and "interrupted" as its
    action marks the run as cancelled.
    """

    async def _orch_async(self, shared: Shared, params: dict[str, Any] | None = None) -> Any:
        node, action = copy.copy(self.start_node), None
        while node:
            node.set_params(params or {**self.params})
            action = await self._step(node, shared)
            node = copy.copy(self.get_next_node(node, action))
        return action

    async def _step(self, node: BaseNode, shared: Shared) -> Any:
        if not getattr(node, "announced", True):
            return await _run(node, shared)
        name, turn, started = type(node).__name__, shared["turn"], time.time()
        shared["emit"](events.step_started(name))
        try:
            action = await _run(node, shared)
        except Exception as raised:
            log.exception("conversation %s run %s: %s failed", shared["conversation_id"], turn["run_id"], name)
            action, turn["error"] = "failed", turn["error"] or explain(raised)
        if action == "failed" and not turn["error"]:
            turn["error"] = {"message": f"{name} failed and gave no reason. Press Retry.", "code": "internal"}
        turn["cancelled"] |= action == "interrupted"
        shared["emit"](events.step_finished(name))
        turn["steps"].append(_trace(shared, name, action, started))
        return action

    def graph(self) -> dict[str, Any]:
        """`{nodes: [name, …], edges: [{from, to, action}, …]}`, read from the nodes themselves."""
        nodes, edges, seen = [self.start_node], [], {id(self.start_node)}
        for node in nodes:
            for action, following in node.successors.items():
                edges.append({"from": type(node).__name__, "to": type(following).__name__, "action": action})
                if id(following) not in seen:
                    seen.add(id(following))
                    nodes.append(following)
        return {"nodes": [type(node).__name__ for node in nodes], "edges": edges}


async def _run(node: BaseNode, shared: Shared) -> Any:
    return await node._run_async(shared) if isinstance(node, AsyncNode) else node._run(shared)


def _trace(shared: Shared, name: str, action: Any, started: float) -> dict[str, Any]:
    turn, ms = shared["turn"], round((time.time() - started) * 1000, 1)
    summary = {
        "keys": sorted(shared),
        "messages": len(shared["messages"]),
        "queue": turn["queue"],
        "calls": len(turn["calls"]),
        "agent": turn["agent"],
        "outcome": outcome_of(turn),
    }
    where = shared["conversation_id"], turn["run_id"]
    log.debug("conversation %s run %s: %s -> %s, %s ms, %s", *where, name, action or "default", ms, summary)
    step = {"node": name, "action": action or "default", "startedAt": round(started * 1000), "ms": ms}
    step["summary"] = summary
    return step | {"error": turn["error"]["message"]} if action == "failed" else step


def new_turn(work: Work, agent: str) -> dict[str, Any]:
    """The run in progress, as `shared["turn"]`."""
    return {
        "run_id": work.run_id,
        "agent": agent,
        "calls": work.calls,
        "unsaved": [],
        "client_tools": work.options.get("tools", []),
        "context": work.options.get("context", []),
        "interrupts": [],
        "queue": len(work.state["queue"]),
        "rounds": 0,
        "usage": {},
        "cancelled": False,
        "error": None,
        "tell_history": False,
        "steps": [],
        "started": time.monotonic(),
        "first_token_ms": None,
    }


def outcome_of(turn: dict[str, Any]) -> str:
    """How the run ends if it ends now: error, cancelled, interrupt or success."""
    if turn["error"]:
        return "error"
    if turn["cancelled"]:
        return "cancelled"
    return "interrupt" if turn["interrupts"] else "success"


def explain(error: Exception) -> dict[str, str]:
    """An error as the person and the state have it: its own code and words if it was made for them."""
    if hasattr(error, "code") and hasattr(error, "message"):
        return {"message": error.message, "code": error.code}
    text = f"Something went wrong in the server ({type(error).__name__}: {error}). Press Retry, or see its log."
    return {"message": text, "code": "internal"}
