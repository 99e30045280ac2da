"""The model that answers when no key is set: in this process, offline, and open about being a demo.

It takes the same request as any provider and streams the same bytes, so everything behind it is the real thing.
Tests make it say what they need: `script([["Hello ", "there"], [ToolCall("current_time", {})]])`.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from utils import demo_texts
from utils.text_tool_prompt import as_text

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True)
class ToolCall:
    """A tool call in an answer; its arguments are streamed in pieces."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Thought:
    """A piece of reasoning in an answer."""

    text: str


Piece = str | Thought | ToolCall | dict[str, Any]
"""A str is one delta of text; a dict is a chunk as it goes over the wire, an error for example."""
Reply = Iterable[Piece] | Callable[[dict[str, Any]], AsyncIterator[Piece]]
"""The pieces of an answer, or an async generator function that is given the request and yields them."""

_scripted: deque[Reply] = deque()
_seconds_per_delta = 0.02
_calls_made = 0


def script(replies: Iterable[Reply]) -> None:
    """The next requests get these replies, one each; after the last the demo speaks for itself again."""
    _scripted.clear()
    _scripted.extend(replies)


def set_speed(seconds_per_delta: float) -> None:
    """How long to pause after each delta; the default, 0.02, is about reading speed."""
    global _seconds_per_delta
    _seconds_per_delta = seconds_per_delta


async def respond(request: "httpx2.Request") -> "httpx2.Response":
    """The handler of the transport under the client."""
    import httpx2

    body = orjson.loads(request.content)
    reply = _scripted.popleft() if _scripted else answer(body)
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_stream(body, reply))


async def _stream(request: dict[str, Any], reply: Reply) -> AsyncIterator[bytes]:
    reason, written = "stop", 0
    async for piece in _pieces(request, reply):
        for chunk in _chunks(piece):
            data = orjson.dumps(chunk)
            written += len(data)
            yield b"data: " + data + b"\n\n"
            await asyncio.sleep(_seconds_per_delta)
        if isinstance(piece, ToolCall):
            reason = "tool_calls"
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    usage = {"prompt_tokens": len(orjson.dumps(request["messages"])) // 4, "completion_tokens": written // 60}
    yield b"data: %b\n\ndata: %b\n\n" % (orjson.dumps(finish), orjson.dumps({"choices": [], "usage": usage}))
    yield b"data: [DONE]\n\n"


async def _pieces(request: dict[str, Any], reply: Reply) -> AsyncIterator[Piece]:
    if callable(reply):
        async for piece in reply(request):
            yield piece
    else:
        for piece in reply:
            yield piece


def _chunks(piece: Piece) -> Iterator[dict[str, Any]]:
    if isinstance(piece, dict):
        yield piece
    elif isinstance(piece, ToolCall):
        for call in _call_pieces(piece):
            yield _delta(tool_calls=[call])
    else:
        yield _delta(reasoning_content=piece.text) if isinstance(piece, Thought) else _delta(content=piece)


def _delta(**delta: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}


def _call_pieces(call: ToolCall) -> Iterator[dict[str, Any]]:
    global _calls_made
    _calls_made += 1
    head = {"name": call.name, "arguments": ""}
    yield {"index": _calls_made, "id": f"call_demo_{_calls_made}", "type": "function", "function": head}
    for piece in re.findall(r"(?s).{1,16}", orjson.dumps(call.arguments).decode()):
        yield {"index": _calls_made, "function": {"arguments": piece}}


def answer(request: dict[str, Any]) -> Iterator[Piece]:
    """What the demo says to this request by itself."""
    messages = request["messages"]
    said = [_text(message) for message in messages if message["role"] == "user"]
    everything = "\n".join(map(_text, messages))
    if "Reply with JSON only:" in everything:
        yield _judgement(everything, said[-1] if said else "")
    elif messages[-1]["role"] == "tool" or said[-1].startswith("<function_result"):
        yield from _words(_comment(re.sub(r"</?function_result.*?>\n?", "", _text(messages[-1]))))
    elif described := re.findall(r"(?m)^- (\w+): .*\n  Its parameters as JSON Schema", everything):
        for piece in _turn(said[-1], len(said) == 1, set(described), everything):
            yield as_text([_call_message(piece)])[0]["content"] if isinstance(piece, ToolCall) else piece
    else:
        tools = {tool["function"]["name"] for tool in request.get("tools") or ()}
        yield from _turn(said[-1] if said else "", len(said) == 1, tools, everything)


def _call_message(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()}
    return {"role": "assistant", "content": "", "tool_calls": [{"id": "", "function": function}]}


def _turn(said: str, is_first: bool, tools: set[str], everything: str) -> Iterator[Piece]:
    asked = set(re.findall(r"\w+", said.lower()))
    if "essay" in asked:
        yield from _words(_essay(said))
    elif "think" in asked:
        yield from (Thought(word) for word in _words(demo_texts.THOUGHTS))
        yield from _words(demo_texts.AFTER_THINKING)
    elif asked & {"table", "markdown"}:
        yield from _words(demo_texts.SHOWCASE)
    elif call := _wanted_call(asked, said, everything):
        yield from _use(call, tools)
    elif asked & {"hello", "hi", "hey", "help"}:
        yield from _words(demo_texts.INTRODUCTION + demo_texts.OFFERS)
    else:
        introduction = demo_texts.INTRODUCTION if is_first else ""
        quoted = said.replace("\n", "\n> ")
        echo = f"You said:\n\n> {quoted}\n\nI am the demo model and do not understand that. "
        yield from _words(introduction + echo + demo_texts.OFFERS)


def _wanted_call(asked: set[str], said: str, everything: str) -> ToolCall | None:
    if "chart" in asked:
        files = re.findall(r"[\w.-]+\.csv\b", everything)
        code = demo_texts.CSV_CHART.format(file=files[-1]) if files else demo_texts.CHART
        return ToolCall("execute_python", {"code": code})
    if "python" in asked:
        return ToolCall("execute_python", {"code": demo_texts.PYTHON})
    if "time" in asked:
        return ToolCall("current_time")
    if "note" in asked:
        text = re.sub(r"(?i)^.*?\bnote\b[\s:,]*", "", said, count=1) or said
        return ToolCall("save_note", {"name": "note", "text": text})
    return None


def _use(call: ToolCall, tools: set[str]) -> Iterator[Piece]:
    if call.name in tools:
        yield from _words(f"I ask for the tool `{call.name}`. ")
        yield call
    else:
        yield from _words(f"For that I would need the tool `{call.name}`, which is not available here.")


def _comment(result: str) -> str:
    """On what a tool returned."""
    lowered = result.lower()
    if re.search(r"reject|declin|denied|not executed|not run|cancel|interrupted", lowered):
        return f"The tool was not run to its end:\n\n> {result.strip()}\n\nThat is fine. Tell me what to do instead."
    if "[image:" in lowered:
        return "There it is, drawn by your own Python. A real model would now say what it shows."
    if "traceback" in lowered or "error" in lowered:
        return f"That went wrong:\n\n```\n{result.strip()}\n```\n\nA real model would now mend it and try again."
    return f"The tool answered:\n\n```\n{result.strip()}\n```\n\nA real model would now explain what this means."


def _essay(said: str) -> str:
    about = re.search(r"(?i)essay\s+(?:about|on)\s+([\w -]{1,40})", said)
    topic = about[1].strip() if about else "nothing in particular"
    sections = (
        demo_texts.ESSAY_SECTION.format(number=number, topic=topic, topic_title=topic.capitalize(), aspect=aspect)
        for number, aspect in enumerate(demo_texts.ESSAY_ASPECTS.split(), 1)
    )
    return demo_texts.ESSAY_OPENING.format(topic=topic) + "".join(sections)


def _judgement(prompt: str, said: str) -> str:
    """The JSON that a safety check or the choice of an agent asks for."""
    lowered = said.lower()
    if '"safe"' in prompt:
        unsafe = next((word for word in ("bomb", "hack into") if word in lowered), None)
        reason = f"It asks about “{unsafe}”." if unsafe else "Nothing in it speaks against an answer."
        return orjson.dumps({"safe": unsafe is None, "reason": reason}).decode()
    wanted = next((agent for words, agent in AGENT_WORDS if re.search(words, lowered)), "assistant")
    return orjson.dumps({"agent": _known_agent(prompt, wanted)}).decode()


AGENT_WORDS = (
    (r"\b(code|function|program|bug)", "coder"),
    (r"\b(write|poem|story|essay)", "writer"),
    (r"\b(csv|data|chart|analy[sz]e)", "analyst"),
)


def _known_agent(prompt: str, wanted: str) -> str:
    """The name as the prompt lists it (`- name: description`); the first of the list if the wanted one is not there."""
    names: list[str] = re.findall(r"(?m)^- ([\w-]+):", prompt)
    return next((name for name in names if name.lower() == wanted), names[0] if names else wanted)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _words(text: str) -> Iterator[str]:
    return (match[0] for match in re.finditer(r"\S+\s*|\s+", text))


if __name__ == "__main__":
    print("".join(map(str, answer({"messages": [{"role": "user", "content": "Hello"}]}))))
