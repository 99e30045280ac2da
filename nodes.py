"""What the agent does, one node a step, and its prompts. The edges are in flow.py.

Every node: prep reads `shared` (laid out in docs/design.md), exec works without it, post writes and returns the action.
Stop shows as `shared["stop"]`; work that takes time races it with until_stopped and never cancels the node itself.
"""

import time
from typing import Any

from pocketflow import AsyncNode

from utils.agents import BASICS, FALLBACK, Agent, agent_named, candidates, model_for
from utils.answer import Answer
from utils.approval import interrupt_for, needs_approval
from utils.history import plain_text, unanswered
from utils.judge import judge
from utils.limits import limits
from utils.run_tool import refusal, run_tool
from utils.server import events, workspace
from utils.server.rows import tool_message
from utils.server.store import ToolCall, Work
from utils.server.traced_flow import explain, new_turn, outcome_of
from utils.stopping import STOPPED, until_stopped
from utils.stream_answer import Request, stream_answer
from utils.stream_llm import TextDelta
from utils.toolkit import ToolContext
from utils.tools import caution, offered, warm_soon

Shared = dict[str, Any]

SAFETY_PROMPT = """You judge whether a message may be answered. The policy:
{policy}

Reply with JSON only: {{"safe": true or false, "reason": "..."}} - the reason is one short sentence for the person."""

CHOICE_PROMPT = """You choose who answers the person's message:
{agents}

Reply with JSON only: {{"agent": "<name>"}}"""

NO_MORE_TOOLS = "You have used all the tool calls of this turn. Answer now with what you know, without tools."
TOO_MANY_CALLS = "The model went on calling tools after its last round of them. Press Retry, or ask in another way."


class DrainQueue(AsyncNode):
    """Takes the next work and starts its run."""

    announced = False

    async def prep_async(self, shared: Shared) -> Any:
        return shared["store"]

    async def exec_async(self, store: Any) -> Work | None:
        work: Work | None = await store.take_work()
        return work

    async def post_async(self, shared: Shared, store: Any, work: Work | None) -> str:
        if work is None:
            return "empty"
        if not store.paused:
            shared["stop"].clear()
        shared["turn"] = new_turn(work, _agent_of(shared, work))
        shared["messages"] = (shared["messages"] if work.history is None else work.history) + work.messages
        shared["emit"](events.run_started(shared["conversation_id"], work.run_id, work.messages))
        if work.history is not None:
            shared["emit"](events.messages_snapshot(list(work.history)))
        shared["emit"](events.state_snapshot(work.state))
        return "resume" if work.kind == "resume" else "message"


def _agent_of(shared: Shared, work: Work) -> str:
    """Whoever asked for the tools goes on after the decision, also if the person has picked another agent since."""
    asked = work.calls or work.kind == "results"
    names = [m["name"] for m in shared["messages"][-3:] if m["role"] == "assistant"] if asked else []
    return str(names[-1] if names else shared["agent"])


class CheckSafety(AsyncNode):
    """Judges the message against the agent's policy; without a policy it passes at no cost. A failed check refuses."""

    async def prep_async(self, shared: Shared) -> Any:
        agent = agent_named(shared["turn"]["agent"])
        return agent, _last_user_text(shared), shared["stop"]

    async def exec_async(self, request: Any) -> Any:
        agent, text, stop = request
        if not agent.safety_policy:
            return {"safe": True}
        prompt = SAFETY_PROMPT.format(policy=agent.safety_policy)
        return await until_stopped(judge(prompt, text, model_for(agent.name), "safe"), stop)

    async def exec_fallback_async(self, request: Any, error: Exception) -> dict[str, Any]:
        return {"safe": False, "reason": f"The safety check could not be made, so nothing was answered. {error}"}

    async def post_async(self, shared: Shared, request: Any, verdict: Any) -> str:
        if verdict is STOPPED:
            return "interrupted"
        if verdict.get("safe") is True:
            return "safe"
        shared["turn"]["refusal"] = str(verdict.get("reason") or "It does not fit this agent's policy.")[:500]
        return "unsafe"


class ChooseAgent(AsyncNode):
    """When the agent is `auto`, asks the model which one fits; else passes at no cost."""

    async def prep_async(self, shared: Shared) -> Any:
        return shared["turn"]["agent"], _last_user_text(shared), shared["stop"]

    async def exec_async(self, request: Any) -> Any:
        name, text, stop = request
        if name != "auto":
            return {"agent": name}
        listed = "\n".join(f"- {agent.name}: {agent.description}" for agent in candidates())
        return await until_stopped(judge(CHOICE_PROMPT.format(agents=listed), text, model_for(name), "agent"), stop)

    async def exec_fallback_async(self, request: Any, error: Exception) -> dict[str, Any]:
        return {"agent": FALLBACK}

    async def post_async(self, shared: Shared, request: Any, choice: Any) -> str | None:
        if choice is STOPPED:
            return "interrupted"
        names, chosen = [agent.name for agent in candidates()], str(choice["agent"]).strip().lower()
        shared["turn"]["agent"] = chosen if chosen in names else FALLBACK
        return None


class StreamChat(AsyncNode):
    """Streams the model's answer: every delta goes out the moment it arrives."""

    async def prep_async(self, shared: Shared) -> dict[str, Any]:
        turn, messages, emit = shared["turn"], shared["messages"], shared["emit"]
        agent = agent_named(turn["agent"])
        tools = await offered(agent.tools)
        clients = [schema for schema in turn["client_tools"] if schema["function"]["name"] not in tools]
        schemas, as_text = [tool.schema for tool in tools.values()] + clients, agent.tool_calls == "text"
        if turn["rounds"] >= limits().max_tool_rounds:
            schemas = []
        instructions = await _instructions(agent, shared["conversation_id"], turn)
        used_ids = {call["id"] for message in messages for call in message.get("toolCalls", ())}
        return {
            "request": Request(model_for(agent.name), instructions, messages, schemas, as_text),
            "answer": Answer(emit, agent.name, used_ids),
            "clients": {schema["function"]["name"] for schema in clients},
            "owed": turn["rounds"] and unanswered(messages),
            "save": shared["store"].save,
            "note": lambda text: emit(events.notice(text)),
            "stop": shared["stop"],
        }

    async def exec_async(self, prepared: dict[str, Any]) -> Answer:
        answer: Answer = prepared["answer"]
        if prepared["owed"]:  # by the client, whose own tools were called beside ours: nothing to ask the model yet
            answer.close("complete")
            return answer
        streaming = stream_answer(prepared["request"], answer, prepared["save"], prepared["note"])
        answer.stopped = await until_stopped(streaming, prepared["stop"]) is STOPPED
        answer.close("interrupted" if answer.stopped or answer.finish == "cut" else "complete")
        return answer

    async def exec_fallback_async(self, prepared: dict[str, Any], error: Exception) -> Answer:
        answer: Answer = prepared["answer"]
        answer.close("failed")
        answer.error = explain(error)
        return answer

    async def post_async(self, shared: Shared, prepared: dict[str, Any], answer: Answer) -> str:
        turn, new = shared["turn"], answer.messages()
        shared["messages"] = shared["messages"] + new
        turn["calls"] = [call for call in answer.calls if call.name not in prepared["clients"]]
        turn["tell_history"] |= answer.differs
        turn["usage"] = {key: turn["usage"].get(key, 0) + count for key, count in answer.usage.items()}
        if turn["first_token_ms"] is None and answer.first_delta_at is not None:
            turn["first_token_ms"] = round((answer.first_delta_at - turn["started"]) * 1000)
        turn["unsaved"] = turn["unsaved"] + new
        if turn["calls"]:
            await shared["store"].save(turn["unsaved"], turn["calls"])
            turn["unsaved"] = []
        if answer.error:
            turn["error"] = answer.error
            return "failed"
        if answer.stopped:
            return "interrupted"
        if answer.remark:
            prepared["note"](answer.remark)
        return "tool_calls" if turn["calls"] else "answered"


async def _instructions(agent: Agent, conversation_id: str, turn: dict[str, Any]) -> str:
    parts = [agent.instructions or f"You are a helpful assistant. {BASICS}", *turn["context"]]
    if agent.tools and (files := await workspace.list_files(conversation_id)):
        parts.append("Files in the workspace:\n" + "\n".join(f"- {name} ({size} bytes)" for name, size in files[:50]))
    if turn["rounds"] >= limits().max_tool_rounds:
        parts.append(NO_MORE_TOOLS)
    return "\n\n".join(parts)


class RequestApproval(AsyncNode):
    """Splits the calls into those that may run and those that a person must decide."""

    async def prep_async(self, shared: Shared) -> Any:
        agent = agent_named(shared["turn"]["agent"])
        return shared["turn"]["calls"], await offered(agent.tools), _context(shared)

    async def exec_async(self, request: Any) -> list[dict[str, Any]]:
        calls, tools, context = request
        waiting = [(call, tools[call.name]) for call in calls if needs_approval(call, tools)]
        if any(tool.runs_code for _, tool in waiting):
            warm_soon(context)
        return [interrupt_for(call, tool, await caution(tool)) for call, tool in waiting]

    async def post_async(self, shared: Shared, request: Any, interrupts: list[dict[str, Any]]) -> str:
        if shared["stop"].is_set():
            return "interrupted"
        shared["turn"]["interrupts"] = interrupts
        return "pending" if interrupts else "approved"


class ExecuteTools(AsyncNode):
    """Runs the calls that may run; refusals and errors become results that the model reads."""

    async def prep_async(self, shared: Shared) -> dict[str, Any]:
        agent = agent_named(shared["turn"]["agent"])
        return {
            "calls": shared["turn"]["calls"],
            "tools": await offered(agent.tools),
            "context": _context(shared),
            "emit": shared["emit"],
            "stop": shared["stop"],
            "store": shared["store"],
        }

    async def exec_async(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        return [await _execute(call, request) for call in request["calls"]]

    async def post_async(self, shared: Shared, request: dict[str, Any], results: list[dict[str, Any]]) -> str | None:
        turn = shared["turn"]
        shared["messages"] = shared["messages"] + results
        turn["cancelled"] = any(call.status == "cancelled" for call in turn["calls"])
        turn["calls"] = []
        return None


async def _execute(call: ToolCall, request: dict[str, Any]) -> dict[str, Any]:
    """One call: recorded as begun before it runs and as done before anyone is told."""
    emit, store, started = request["emit"], request["store"], time.monotonic()
    ended = refusal(call, request["tools"], request["stop"].is_set())
    if ended is None:
        await store.start_call(call.id)
        tool = request["tools"][call.name]
        show = lambda text: emit(events.tool_output(call.id, text))  # noqa: E731
        ended = await run_tool(call, tool, request["context"], show, request["stop"])
    outcome, content = ended
    milliseconds = round((time.monotonic() - started) * 1000)
    result = tool_message(call.id, content, outcome, milliseconds, call.edited_arguments)
    await store.finish_call(call.id, result)
    emit(events.tool_result(result))
    return result


class CheckInterrupt(AsyncNode):
    """Was Stop pressed, or an approval cancelled? Then the turn ends; else the model goes on, while rounds are left."""

    async def post_async(self, shared: Shared, prep_res: None, exec_res: None) -> str:
        shared["turn"]["rounds"] += 1
        if shared["stop"].is_set() or shared["turn"]["cancelled"]:
            return "interrupted"
        if shared["turn"]["rounds"] > limits().max_tool_rounds:
            shared["turn"]["error"] = {"message": TOO_MANY_CALLS, "code": "too_many_tool_calls"}
            return "failed"
        return "continue"


class Refuse(AsyncNode):
    """Tells the person why their message is not answered."""

    async def post_async(self, shared: Shared, prep_res: None, exec_res: None) -> None:
        answer = Answer(shared["emit"], shared["turn"]["agent"], set())
        answer.add(TextDelta(f"I can't help with that. {shared['turn']['refusal']}"))
        answer.close("complete")
        shared["turn"]["unsaved"] = shared["turn"]["unsaved"] + answer.messages()
        shared["messages"] = shared["messages"] + answer.messages()


class FinishTurn(AsyncNode):
    """Closes the run: stored first, then told."""

    announced = False

    async def prep_async(self, shared: Shared) -> Any:
        turn, status = shared["turn"], outcome_of(shared["turn"])
        record = {
            "run_id": turn["run_id"],
            "messages": turn["unsaved"],
            "status": status,
            "error": turn["error"],
            "interrupts": turn["interrupts"] if status == "interrupt" else [],
            "pending": unanswered(shared["messages"]) if status == "success" else [],
            "steps": turn["steps"],
            "usage": turn["usage"],
            "first_token_ms": turn["first_token_ms"],
            "duration_ms": round((time.monotonic() - turn["started"]) * 1000),
        }
        return shared["store"], record

    async def exec_async(self, request: Any) -> Any:
        store, record = request
        return await store.finish_run(record)

    async def post_async(self, shared: Shared, request: Any, finished: Any) -> str:
        (results, history, state), (_, record), emit = finished, request, shared["emit"]
        # A node that failed may have left the history half told: what is stored counts.
        shared["messages"] = shared["messages"] + results if history is None else history
        for result in results:
            emit(events.tool_result(result))
        if shared["turn"]["tell_history"] or record["error"]:
            emit(events.messages_snapshot(list(shared["messages"])))
        emit(events.run_ended(shared["conversation_id"], model_for(shared["turn"]["agent"]).name, record))
        shared["turn"] = None
        emit(events.state_snapshot(state))
        return "next"


class Idle(AsyncNode):
    """Nothing is left to do."""

    announced = False


def _context(shared: Shared) -> ToolContext:
    conversation_id = shared["conversation_id"]
    return ToolContext(conversation_id, workspace.folder(conversation_id))


def _last_user_text(shared: Shared) -> str:
    return next((plain_text(m["content"]) for m in reversed(shared["messages"]) if m["role"] == "user"), "")
