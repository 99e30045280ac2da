"""A conversation that is longer than the model reads: whole turns are left out, and the chat says so."""

from pathlib import Path
from typing import Any

from chat_server import ChatServer, Client, running_server
from mock_provider import MockProvider, Reply, hello


def asked(request: dict[str, Any]) -> list[str]:
    """The first letters of the person's messages in the request."""
    return [message["content"][:1] for message in request["messages"] if message["role"] == "user"]


def notices(tab: Client) -> list[str]:
    return [event["value"]["text"] for event in tab.find(type="CUSTOM", name="notice")]


async def test_the_oldest_turns_beyond_history_chars_are_left_out(tmp_path: Path, provider: MockProvider) -> None:
    async with (
        running_server(tmp_path, openai_base_url=provider.url, history_chars=2_700) as server,
        server.client() as tab,
    ):
        for letter in "abcd":
            await tab.ask(letter * 1000)
        assert [asked(request) for request in provider.requests] == [["a"], ["a", "b"], ["b", "c"], ["c", "d"]]
        assert provider.requests[-1]["messages"][0]["role"] == "system"
        assert len(notices(tab)) == 2
        assert "oldest turns are left out" in notices(tab)[0]
        assert [message["content"][0] for message in tab.messages if message["role"] == "user"] == list("abcd")


async def test_a_notice_is_given_once_a_turn_however_many_rounds_it_has(tmp_path: Path, provider: MockProvider) -> None:
    async def with_tools(request: dict[str, Any], reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool":
            return await hello(request, reply)
        await reply.tool_call("current_time", {})
        await reply.finish("tool_calls")

    provider.script = with_tools
    async with (
        running_server(tmp_path, openai_base_url=provider.url, history_chars=1_000) as server,
        server.client() as tab,
    ):
        await tab.ask("a" * 1000)
        await tab.ask("b" * 1000)
        assert [asked(request) for request in provider.requests] == [["a"], ["a"], ["b"], ["b"]]
        assert len(notices(tab)) == 1


async def test_when_the_models_context_overflows_it_is_tried_with_less(
    server: ChatServer, provider: MockProvider
) -> None:
    async def small_context(request: dict[str, Any], reply: Reply) -> None:
        if len(asked(request)) > 2:
            return await reply.error(400, "Too long", code="context_length_exceeded")
        await hello(request, reply)

    async with server.client() as tab:
        for letter in "abcd":
            await tab.ask(letter * 1000)
        provider.script = small_context
        assert await tab.ask("e" * 1000) == "Hello from the mock provider."
        assert asked(provider.requests[-1])[-2:] == ["d", "e"]
        assert notices(tab)
        assert not tab.find(type="RUN_ERROR")


async def test_the_notice_is_given_once_however_often_it_is_tried_with_less(
    server: ChatServer, provider: MockProvider
) -> None:
    async def tiny_context(request: dict[str, Any], reply: Reply) -> None:
        if len(asked(request)) > 1:
            return await reply.error(400, "Too long", code="context_length_exceeded")
        await hello(request, reply)

    async with server.client() as tab:
        for letter in "abcd":
            await tab.ask(letter * 1000)
        provider.script = tiny_context
        assert await tab.ask("e" * 1000) == "Hello from the mock provider."
        assert [asked(request) for request in provider.requests[5:]] == [list("cde"), list("de"), ["e"]]
        assert len(notices(tab)) == 1


async def test_a_single_turn_that_is_too_long_fails_with_advice(server: ChatServer, provider: MockProvider) -> None:
    async def no_context(request: dict[str, Any], reply: Reply) -> None:
        await reply.error(400, "Too long", code="context_length_exceeded")

    provider.script = no_context
    async with server.client() as tab:
        await tab.ask("a" * 1000)
        await tab.until_idle()
        assert tab.state["lastError"]["code"] == "context_overflow"
        assert "longer than the model can read" in tab.state["lastError"]["message"]
        assert len(provider.requests) == 1
