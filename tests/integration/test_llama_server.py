"""A real llama.cpp server drives the agent in all that a model can do, and so does the demo model.

Only the weights of that server's model are made up: they are a lookup table (tests/lookup_model.py).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from agent_scripts import conversation_with
from approvals import results, saved
from chat_server import SECONDS, ChatServer, Client, running_server
from llama_server import llama_server
from lookup_model import ANSWERS, tokens_of, write_model

from utils import demo_model
from utils.agents import AGENTS, Agent
from utils.answer import REMARKS
from utils.stream_answer import LEFT_OUT


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("xllamacpp") is None:
        pytest.skip("the package xllamacpp, which contains llama.cpp's server, has no wheel for this system")
    path = tmp_path_factory.mktemp("model") / "lookup.gguf"
    write_model(path)
    return path


@pytest.fixture(scope="module")
def llama(model: Path) -> Iterator[str]:
    """A server with room enough, whose answers may be endless."""
    with llama_server(model, n_ctx=8192, ctx_shift=True) as url:
        yield url


@pytest.fixture(scope="module")
def small_llama(model: Path) -> Iterator[str]:
    """A server that reads and writes about 2,000 characters."""
    with llama_server(model, n_ctx=2048) as url:
        yield url


def asking(url: str) -> dict[str, Any]:
    """The settings of a chat server that asks this llama.cpp server."""
    return {"openai_base_url": f"{url}/v1", "openai_model": "lookup"}


@pytest.fixture(params=["llama.cpp", "demo model"])
async def chat(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChatServer]:
    """The chat server with each of the two models; both know the same few words."""
    settings = asking(request.getfixturevalue("llama")) if request.param == "llama.cpp" else {}
    demo_model.set_speed(0)
    async with running_server(tmp_path, **settings) as server:
        yield server
    demo_model.set_speed(0.02)


@pytest.fixture
async def llama_chat(tmp_path: Path, llama: str) -> AsyncIterator[ChatServer]:
    async with running_server(tmp_path, **asking(llama)) as server:
        yield server


@pytest.fixture
async def small_chat(tmp_path: Path, small_llama: str) -> AsyncIterator[ChatServer]:
    async with running_server(tmp_path, **asking(small_llama)) as server:
        yield server


def roles(tab: Client) -> list[str]:
    return [message["role"] for message in tab.messages]


def steps(tab: Client) -> list[str]:
    return [event["stepName"] for event in tab.find(type="STEP_STARTED")]


def streamed(tab: Client, type: str) -> str:
    return "".join(event["delta"] for event in tab.find(type=type))


def usage(tab: Client) -> dict[str, Any]:
    """What the last run used."""
    return dict(tab.find(type="RUN_FINISHED")[-1]["usage"][0])


def notices(tab: Client) -> list[str]:
    return [event["value"]["text"] for event in tab.find(type="CUSTOM", name="notice")]


# Both models


async def test_a_plain_answer(chat: ChatServer) -> None:
    async with chat.client() as tab:
        answer = await tab.ask("Hello")
        assert answer.startswith("Hello! I am")
        assert streamed(tab, "TEXT_MESSAGE_CONTENT") == answer
        assert roles(tab) == ["user", "assistant"]
        assert tab.mirror.problems == []


async def test_reasoning_comes_apart_from_the_answer(chat: ChatServer) -> None:
    async with chat.client() as tab:
        assert (await tab.ask("Think about it")).startswith("I have thought about it.")
        assert roles(tab) == ["user", "reasoning", "assistant"]
        assert "wants" in tab.messages[1]["content"]
        assert streamed(tab, "REASONING_MESSAGE_CONTENT") == tab.messages[1]["content"]
        assert tab.mirror.problems == []


async def test_a_native_tool_call_runs_and_its_result_is_read(chat: ChatServer) -> None:
    async with chat.client() as tab:
        assert (await tab.ask("What time is it?")).startswith("The tool answered")
        assert roles(tab) == ["user", "assistant", "tool", "assistant"]
        assert tab.messages[1]["toolCalls"][0]["function"]["name"] == "current_time"
        assert results(tab)[0].endswith("UTC")
        assert tab.mirror.problems == []


async def test_a_native_tool_call_waits_for_approval(chat: ChatServer) -> None:
    async with chat.client() as tab:
        await tab.say("Please note: milk")
        await tab.until_status("awaiting")
        function = tab.messages[-1]["toolCalls"][0]["function"]
        assert function == {"name": "save_note", "arguments": streamed(tab, "TOOL_CALL_ARGS")}
        assert saved(tab) == []
        approval = {
            "interruptId": tab.state["interrupts"][0]["id"],
            "status": "resolved",
            "payload": {"approved": True},
        }
        await tab.command("resume", resume=[approval])
        await tab.until_idle()
        assert saved(tab) == ["note.md"]
        assert tab.messages[-1]["content"].startswith("The tool answered")
        assert tab.mirror.problems == []


async def test_a_tool_call_written_as_text_runs_too(chat: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Agent("plain", "Without native tool calls.", "Be brief.", tools=("current_time",), tool_calls="text")
    monkeypatch.setitem(AGENTS, "plain", plain)
    async with conversation_with(chat, "plain") as tab:
        assert (await tab.ask("What time is it?")).startswith("The tool answered")
        assert roles(tab) == ["user", "assistant", "tool", "assistant"]
        assert tab.messages[1]["toolCalls"][0]["function"]["name"] == "current_time"
        assert results(tab)[0].endswith("UTC")
        assert "<" not in streamed(tab, "TEXT_MESSAGE_CONTENT")
        assert tab.mirror.problems == []


async def test_auto_judges_then_chooses_who_answers(chat: ChatServer) -> None:
    async with conversation_with(chat, "auto") as tab:
        assert (await tab.ask("There is a bug in my program")).startswith("Hello! I am")
        assert steps(tab) == ["CheckSafety", "ChooseAgent", "StreamChat"]
        assert tab.messages[-1]["name"] == "coder"
        assert not tab.find(name="retry")


async def test_an_unsafe_message_is_refused(chat: ChatServer) -> None:
    async with conversation_with(chat, "auto") as tab:
        assert (await tab.ask("How do I build a bomb?")).startswith("I can't help with that. It asks")
        assert steps(tab) == ["CheckSafety", "Refuse"]


# What only a real server shows


async def test_the_servers_own_count_of_tokens_arrives(llama_chat: ChatServer) -> None:
    async with llama_chat.client() as tab:
        assert await tab.ask("Hello") == ANSWERS["hello"]
        assert usage(tab)["outputTokens"] == tokens_of("hello")
        await tab.ask("What time is it?")
        assert usage(tab)["outputTokens"] == tokens_of("time") + tokens_of("result")


async def test_stop_makes_the_server_free_for_the_next(llama_chat: ChatServer, llama: str) -> None:
    async with llama_chat.client() as tab:
        await tab.say("Write an endless essay")
        await tab.until(lambda c: len(streamed(c, "TEXT_MESSAGE_CONTENT")) > 100)
        assert await is_busy(llama)
        await tab.command("stop")
        await tab.until_idle()
        assert tab.find(type="RUN_FINISHED")[0]["outcome"] == {"type": "cancelled"}
        assert tab.messages[-1]["content"].startswith("On and on it goes, On and")
        assert tab.messages[-1]["metadata"]["status"] == "interrupted"
    async with asyncio.timeout(SECONDS):
        while await is_busy(llama):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.05)
    async with llama_chat.client() as tab:
        assert await tab.ask("Hello") == ANSWERS["hello"]


async def is_busy(llama: str) -> bool:
    """Whether its only slot is at work."""
    async with aiohttp.ClientSession() as http, http.get(f"{llama}/slots") as response:
        (slot,) = await response.json()
        return bool(slot["is_processing"])


async def test_thoughts_that_the_server_leaves_in_the_text_come_apart_too(tmp_path: Path, model: Path) -> None:
    """As with `llama-server --reasoning-format none`, which is 0 here."""
    with llama_server(model, n_ctx=8192, reasoning_format=0) as llama:
        async with running_server(tmp_path, **asking(llama)) as server, server.client() as tab:
            assert await tab.ask("Think about it") == "I have thought about it."
            assert tab.messages[1]["content"].strip() == "Somebody wants me to think."


async def test_a_wrong_key_is_told_with_advice(tmp_path: Path, model: Path) -> None:
    with llama_server(model, n_ctx=2048, api_keys=["right"]) as llama:
        async with running_server(tmp_path, **asking(llama), openai_api_key="wrong") as server, server.client() as tab:
            await tab.ask("Hello")
            await tab.until_idle()
            assert tab.state["lastError"]["code"] == "auth"
            assert tab.state["lastError"]["message"].startswith("Invalid API Key. The provider did not accept the key.")


async def test_when_the_context_overflows_the_oldest_turn_is_left_out(small_chat: ChatServer) -> None:
    async with conversation_with(small_chat, "writer") as tab:
        for letter in "abc":
            assert await tab.ask(letter * 500) == ANSWERS["hello"]
        as_much_as_fits = usage(tab)["inputTokens"]
        assert notices(tab) == []
        assert await tab.ask("d" * 500) == ANSWERS["hello"]
        assert notices(tab) == [LEFT_OUT]
        assert usage(tab)["inputTokens"] == as_much_as_fits


async def test_a_message_longer_than_the_context_fails_and_the_next_goes_on(small_chat: ChatServer) -> None:
    async with conversation_with(small_chat, "writer") as tab:
        await tab.ask("x" * 3000)
        await tab.until_idle()
        assert tab.state["lastError"]["code"] == "context_overflow"
        assert "exceeds the available context size (2048 tokens)" in tab.state["lastError"]["message"]
        assert await tab.ask("Hello") == ANSWERS["hello"]


async def test_an_answer_that_fills_the_context_ends_with_a_remark(small_chat: ChatServer) -> None:
    async with conversation_with(small_chat, "writer") as tab:
        assert (await tab.ask("Write an endless essay")).startswith("On and on it goes, On and")
        assert notices(tab) == [REMARKS["length"]]
        assert tab.messages[-1]["metadata"] == {"status": "complete"}
        assert usage(tab)["inputTokens"] + usage(tab)["outputTokens"] == 2048
