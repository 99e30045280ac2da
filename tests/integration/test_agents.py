"""Who answers and whether: agents, routing, the safety check."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from agent_scripts import Script, conversation_with
from chat_server import ChatServer, Client
from mock_provider import MockProvider, Reply

from utils import demo_model
from utils.agents import AGENTS, Agent

SAFE, UNSAFE = '{"safe": true, "reason": ""}', '{"safe": false, "reason": "It asks for a bomb."}'


@pytest.fixture(autouse=True)
def agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more agents: one that writes its calls as text, and one with a policy but a fixed name."""
    plain = Agent("plain", "Without native tool calls.", "Be brief.", tools=("current_time",), tool_calls="text")
    monkeypatch.setitem(AGENTS, "plain", plain)
    monkeypatch.setitem(
        AGENTS, "careful", replace(plain, name="careful", tool_calls="native", safety_policy="No bombs.")
    )


@pytest.fixture(autouse=True)
def at_full_speed() -> Any:
    demo_model.set_speed(0)
    yield
    demo_model.set_speed(0.02)
    demo_model.script([])


def steps(tab: Client) -> list[str]:
    return [event["stepName"] for event in tab.find(type="STEP_STARTED")]


async def test_a_fixed_agent_without_a_policy_costs_one_request(server: ChatServer, provider: MockProvider) -> None:
    async with conversation_with(server, "writer") as tab:
        assert await tab.ask("Hello") == "Hello from the mock provider."
        assert tab.messages[-1]["name"] == "writer"
        assert steps(tab) == ["CheckSafety", "ChooseAgent", "StreamChat"]
    assert len(provider.requests) == 1
    assert provider.requests[0]["messages"][0]["content"].startswith(AGENTS["writer"].instructions)


@pytest.mark.parametrize(
    "choice",
    ['{"agent": "coder"}', 'I think it is {this}:\n```json\n{"agent": "Coder", "why": {"code": 1}}\n```\nGood luck!'],
)
async def test_auto_picks_who_fits_and_signs_the_message(
    server: ChatServer, provider: MockProvider, choice: str
) -> None:
    provider.script = Script(SAFE, choice)
    async with conversation_with(server, "auto") as tab:
        assert await tab.ask("Why does my loop not end?") == "Fine."
        assert tab.messages[-1]["name"] == "coder"
        assert tab.state["conversation"]["agent"] == "auto"
    listed = provider.requests[1]["messages"][0]["content"]
    assert "- coder: Programming" in listed
    assert "- auto:" not in listed
    assert [len(request.get("tools", ())) for request in provider.requests[:2]] == [0, 0]
    assert provider.requests[2]["messages"][0]["content"].startswith(AGENTS["coder"].instructions)


@pytest.mark.parametrize("choices", [("Coder, surely.", "As I said."), ('{"agent": "nobody"}',), ('{"agent": [1]}',)])
async def test_a_choice_that_is_none_falls_back_to_the_assistant(
    server: ChatServer, provider: MockProvider, choices: tuple[str, ...]
) -> None:
    provider.script = Script(SAFE, *choices)
    async with conversation_with(server, "auto") as tab:
        assert await tab.ask("Hello") == "Fine."
        assert tab.messages[-1]["name"] == "assistant"


async def test_an_unsafe_message_is_refused_with_the_reason(server: ChatServer, provider: MockProvider) -> None:
    provider.script = Script(UNSAFE)
    async with conversation_with(server, "careful") as tab:
        assert await tab.ask("How?") == "I can't help with that. It asks for a bomb."
        assert steps(tab) == ["CheckSafety", "Refuse"]
        assert tab.messages[-1]["metadata"] == {"status": "complete"}
        async with server.client(tab.conversation_id) as fresh:
            assert fresh.messages == tab.messages
    assert len(provider.requests) == 1
    assert "No bombs." in provider.requests[0]["messages"][0]["content"]


async def test_a_judgement_in_prose_is_asked_for_once_more(server: ChatServer, provider: MockProvider) -> None:
    provider.script = Script("That looks safe to me.", SAFE)
    async with conversation_with(server, "careful") as tab:
        assert await tab.ask("Hello") == "Fine."
    assert [message["role"] for message in provider.requests[1]["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "judgements",
    [("Safe.", "Yes, safe."), ('{"safe": "true"}',), ('{"safe": null}',), (f"{SAFE} No, wait: {UNSAFE}",)],
)
async def test_a_judgement_that_does_not_say_safe_refuses(
    server: ChatServer, provider: MockProvider, judgements: tuple[str, ...]
) -> None:
    provider.script = Script(*judgements)
    async with conversation_with(server, "careful") as tab:
        assert (await tab.ask("Hello")).startswith("I can't help with that.")
    assert len(provider.requests) == len(judgements)


async def test_a_safety_check_that_cannot_be_made_refuses(server: ChatServer, provider: MockProvider) -> None:
    async def broken(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(401, "Bad key")

    provider.script = broken
    async with conversation_with(server, "careful") as tab:
        assert "could not be made" in await tab.ask("Hello")
        assert "Bad key" in tab.messages[-1]["content"]


@pytest.mark.parametrize(("judgements", "at"), [((), "CheckSafety"), ((SAFE,), "ChooseAgent")])
async def test_stop_ends_a_judgement_at_once(
    server: ChatServer, provider: MockProvider, judgements: tuple[str, ...], at: str
) -> None:
    waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    judge = Script(*judgements)

    async def script(request: dict[str, Any], reply: Reply) -> None:
        if judge.judgements:
            return await judge(request, reply)
        waiting.set_result(reply)
        await reply.closed.wait()

    provider.script = script
    async with conversation_with(server, "auto") as tab:
        await tab.say("Hello")
        reply = await waiting
        await tab.command("stop")
        async with asyncio.timeout(5):
            await reply.closed.wait()
        await tab.until_idle()
        assert steps(tab)[-1] == at
        assert tab.find(type="RUN_FINISHED")[0]["outcome"] == {"type": "cancelled"}
        assert [message["role"] for message in tab.messages] == ["user"]


async def test_a_model_that_never_stops_calling_tools_is_stopped(server: ChatServer, provider: MockProvider) -> None:
    async def calling(request: dict[str, Any], reply: Reply) -> None:
        await reply.tool_call("current_time", {})
        await reply.finish("tool_calls")

    provider.script = calling
    async with server.client() as tab:
        await tab.ask("Time?")
        await tab.until_idle()
        assert tab.state["lastError"]["code"] == "too_many_tool_calls"
    assert len(provider.requests) == server.settings.max_tool_rounds + 1
    assert ["tools" in request for request in provider.requests] == [True] * 8 + [False]


async def test_an_agent_with_its_own_provider_asks_there(
    server: ChatServer, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MockProvider() as other:
        monkeypatch.setenv("OTHER_KEY", "secret-of-the-other")
        keys: list[str] = []

        async def script(request: dict[str, Any], reply: Reply) -> None:
            keys.append(reply.request_headers["authorization"])
            await reply.text("From afar.")
            await reply.finish()

        other.script = script
        far = Agent("far", "Elsewhere.", "", model="big", base_url=other.url, key_variable="OTHER_KEY")
        monkeypatch.setitem(AGENTS, "far", far)
        async with conversation_with(server, "far") as tab:
            assert await tab.ask("Hello") == "From afar."
            assert tab.find(type="RUN_FINISHED")[0]["usage"][0]["model"] == "big"
        assert other.requests[0]["model"] == "big"
        assert keys == ["Bearer secret-of-the-other"]
    assert provider.requests == []


@pytest.mark.parametrize(
    ("agent", "message", "signed", "roles"),
    [
        ("writer", "Hello", "writer", ["user", "assistant"]),
        ("assistant", "Think about it", "assistant", ["user", "reasoning", "assistant"]),
        ("assistant", "What time is it?", "assistant", ["user", "assistant", "tool", "assistant"]),
        ("plain", "What time is it?", "plain", ["user", "assistant", "tool", "assistant"]),
        ("auto", "There is a bug in my program", "coder", ["user", "assistant"]),
        ("auto", "Write a poem", "writer", ["user", "assistant"]),
        ("auto", "How do I build a bomb?", "auto", ["user", "assistant"]),
    ],
)
async def test_the_demo_model_drives_it_too(
    demo_server: ChatServer, agent: str, message: str, signed: str, roles: list[str]
) -> None:
    async with conversation_with(demo_server, agent) as tab:
        answer = await tab.ask(message)
        assert [m["role"] for m in tab.messages] == roles
        assert tab.messages[-1]["name"] == signed
        assert answer.startswith("I can't help with that.") is ("bomb" in message)
        if "tool" in roles:
            assert "The tool answered" in answer
            assert "<" not in tab.messages[1]["content"]
