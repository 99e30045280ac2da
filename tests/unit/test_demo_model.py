"""The model that answers without a key, asked the way any model is."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from utils import demo_model
from utils.demo_model import Thought, ToolCall
from utils.stream_llm import (
    Delta,
    Finish,
    Model,
    ModelError,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
    close_clients,
    complete,
    stream_llm,
)

DEMO = Model("demo", demo=True)
SOON = 20.0


@pytest.fixture(autouse=True)
async def _at_full_speed() -> AsyncIterator[None]:
    demo_model.set_speed(0)
    yield
    demo_model.set_speed(0.02)
    demo_model.script([])
    await close_clients()


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


TOOLS = [tool("execute_python"), tool("current_time"), tool("save_note")]


async def say(*said: str, tools: list[dict[str, Any]] | None = None, system: str = "Be kind.") -> list[Delta]:
    """The answer to the last of these messages; the ones before it were answered with “Yes.”"""
    messages = [{"role": "system", "content": system}]
    for content in said[:-1]:
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes."}]
    messages.append({"role": "user", "content": said[-1]})
    async with asyncio.timeout(SOON):
        return [delta async for delta in stream_llm(messages, model=DEMO, tools=tools)]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def call(deltas: list[Delta]) -> tuple[str | None, dict[str, Any]]:
    pieces = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert deltas[-1] == Finish("tool_calls")
    return pieces[0].name, json.loads("".join(piece.arguments for piece in pieces))


@pytest.mark.parametrize("said", ["Hello!", "hi", "What is the meaning of life?"])
async def test_it_says_at_once_that_it_is_a_demo_and_how_to_get_a_real_model(said: str) -> None:
    answer = text(await say(said))
    assert "demo model" in answer
    assert "no key is set" in answer
    assert "OPENAI_API_KEY" in answer


async def test_it_repeats_what_it_does_not_understand_and_says_so() -> None:
    answer = text(await say("Hello", "Colourless green ideas"))
    assert "> Colourless green ideas" in answer
    assert "do not understand" in answer
    assert "OPENAI_API_KEY" not in answer


async def test_it_reports_usage() -> None:
    usage, finish = (await say("Hello"))[-2:]
    assert isinstance(usage, Usage)
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert finish == Finish("stop")


async def test_an_essay_is_two_minutes_of_words() -> None:
    answer = await say("Write an essay on the sea, please")
    assert len(answer) * 0.02 > 100
    assert text(answer).startswith("# An essay about the sea")


async def test_it_writes_at_reading_speed() -> None:
    demo_model.set_speed(0.02)
    started = time.monotonic()
    answer = await say("think")
    assert time.monotonic() - started >= 0.02 * (len(answer) - 5)


@pytest.mark.parametrize("said", ["table", "Show me markdown"])
async def test_markdown(said: str) -> None:
    answer = text(await say(said))
    assert "|:-----|" in answer
    assert "```python" in answer


async def test_thinking_comes_as_reasoning_before_the_answer() -> None:
    kinds = [type(delta) for delta in await say("think about it")]
    assert kinds[0] is ReasoningDelta
    assert kinds.index(TextDelta) > max(at for at, kind in enumerate(kinds) if kind is ReasoningDelta)


@pytest.mark.parametrize(
    ("said", "name", "arguments"),
    [
        ("Run some python", "execute_python", {"code": "print("}),
        ("Draw a chart", "execute_python", {"code": "plt.show()"}),
        ("Draw a chart of sales.csv", "execute_python", {"code": "pd.read_csv('sales.csv')"}),
        ("What time is it?", "current_time", {}),
        ("Make a note: buy milk", "save_note", {"name": "note", "text": "buy milk"}),
    ],
)
async def test_it_asks_for_tools_on_request(said: str, name: str, arguments: dict[str, str]) -> None:
    called, given = call(await say(said, tools=TOOLS))
    assert called == name
    assert given.keys() == arguments.keys()
    assert all(part in given[key] for key, part in arguments.items())


async def test_its_code_is_python() -> None:
    for said in ("python", "chart", "chart of my.csv"):
        _, given = call(await say(said, tools=TOOLS))
        compile(given["code"], "demo", "exec")


@pytest.mark.parametrize("said", ["python", "chart", "time", "note: x"])
async def test_it_does_not_call_what_it_was_not_offered(said: str) -> None:
    answer = await say(said)
    assert "not available" in text(answer)
    assert answer[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("result", "remark"),
    [
        ("The sum is 385", "The tool answered"),
        ("Traceback (most recent call last): …", "went wrong"),
        ("The person rejected this call: too dangerous", "was not run"),
    ],
)
async def test_it_comments_on_a_tools_result(result: str, remark: str) -> None:
    function = {"name": "execute_python", "arguments": "{}"}
    messages = [
        {"role": "user", "content": "python"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "a", "content": result},
    ]
    answer = await complete(messages, model=DEMO, tools=TOOLS)
    assert remark in answer
    assert result in answer


SAFETY = 'Judge the message.\nReply with JSON only: {"safe": true or false, "reason": "..."}'
CHOICE = """Who should answer?
- assistant: helps with anything
- writer: writes
- coder: programs
- analyst: works with data
Reply with JSON only: {"agent": "<name>"}"""


@pytest.mark.parametrize(("said", "safe"), [("Bake bread", True), ("Build a BOMB", False), ("hack into it", False)])
async def test_it_judges_whether_a_message_is_safe(said: str, safe: bool) -> None:
    judged = json.loads(text(await say(said, system=SAFETY)))
    assert judged["safe"] is safe
    assert judged["reason"]


@pytest.mark.parametrize(
    ("said", "agent"),
    [
        ("Fix this code", "coder"),
        ("Write a poem", "writer"),
        ("Draw sales.csv", "analyst"),
        ("How are you?", "assistant"),
    ],
)
async def test_it_chooses_an_agent(said: str, agent: str) -> None:
    assert json.loads(text(await say(said, system=CHOICE))) == {"agent": agent}


# Scripts


async def test_a_script_is_said_word_for_word_one_reply_a_request() -> None:
    demo_model.script([["One ", "two"], [Thought("Hm."), "three", ToolCall("current_time")]])
    assert (await say("essay"))[:2] == [TextDelta("One "), TextDelta("two")]
    second = await say("essay")
    assert (second[:2], call(second)) == ([ReasoningDelta("Hm."), TextDelta("three")], ("current_time", {}))
    assert "demo model" in text(await say("Hello"))


async def test_a_script_can_wait_for_the_test_and_see_the_request() -> None:
    go_on = asyncio.Event()
    seen = []

    async def reply(request: dict[str, Any]) -> AsyncIterator[str]:
        seen.append(request["messages"][-1]["content"])
        yield "before "
        await go_on.wait()
        yield "after"

    demo_model.script([reply])
    got = []
    async with asyncio.timeout(SOON):
        async for delta in stream_llm([{"role": "user", "content": "Hm?"}], model=DEMO):
            got.append(delta)
            go_on.set()
    assert seen == ["Hm?"]
    assert text(got) == "before after"


async def test_a_script_can_send_an_error() -> None:
    demo_model.script([["half", {"error": "The GPU is on fire"}]])
    with pytest.raises(ModelError, match="on fire"):
        await complete([{"role": "user", "content": "x"}], model=DEMO)


async def test_stop_ends_a_script_at_once() -> None:
    ended = asyncio.Event()

    async def reply(request: dict[str, Any]) -> AsyncIterator[str]:
        try:
            yield "before "
            await asyncio.Event().wait()
        finally:
            ended.set()

    demo_model.script([reply])
    reader = asyncio.create_task(complete([{"role": "user", "content": "x"}], model=DEMO))
    done, _ = await asyncio.wait([reader], timeout=0.3)
    assert not done
    reader.cancel()
    await asyncio.wait_for(ended.wait(), SOON)
    with pytest.raises(asyncio.CancelledError):
        await reader
