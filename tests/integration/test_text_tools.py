"""An agent whose model has no tool calls of its own: it writes them, and reads the results, as text."""

import pytest
from agent_scripts import Script, conversation_with
from chat_server import ChatServer
from mock_provider import MockProvider

from utils.agents import AGENTS, Agent


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent("plain", "Without native tool calls.", "Be brief.", tools=("current_time",), tool_calls="text")
    monkeypatch.setitem(AGENTS, "plain", agent)


WRITTEN = (
    "Let me look.\n<function_calls>\n<invoke name='current_time'>"
    "<parameter name='timezone'>{}</parameter></invoke></function_calls>"
)


async def test_calls_written_as_text_run_and_their_results_go_back_as_text(
    server: ChatServer, provider: MockProvider
) -> None:
    provider.script = Script(answers=(WRITTEN.format("Europe/Vienna"), "It is late.", "Bye."))
    async with conversation_with(server, "plain") as tab:
        assert await tab.ask("What time is it?") == "It is late."
        assert [message["role"] for message in tab.messages] == ["user", "assistant", "tool", "assistant"]
        assert tab.messages[1]["content"] == "Let me look.\n"
        assert tab.messages[1]["toolCalls"][0]["function"]["arguments"] == '{"timezone": "Europe/Vienna"}'
        assert "Europe/Vienna" in tab.messages[2]["content"]
        assert await tab.ask("Thanks") == "Bye."
        assert "<" not in "".join(event["delta"] for event in tab.find(type="TEXT_MESSAGE_CONTENT"))
        assert tab.mirror.problems == []
    assert all("tools" not in request for request in provider.requests)
    system, *turns = provider.requests[-1]["messages"]
    assert "- current_time: Tell the current date" in system["content"]
    assert [message["role"] for message in turns] == ["user", "assistant"] * 2 + ["user"]
    assert '<invoke name="current_time">' in turns[1]["content"]
    assert turns[2]["content"].startswith('<function_result name="current_time">')


async def test_a_malformed_call_becomes_a_result_that_the_model_can_mend(
    server: ChatServer, provider: MockProvider
) -> None:
    malformed = '<function_calls><invoke name="current_time">{"timezone": "UTC"}</invoke></function_calls>'
    provider.script = Script(answers=(malformed, WRITTEN.format("UTC"), "There."))
    async with conversation_with(server, "plain") as tab:
        assert await tab.ask("Time?") == "There."
        results = [message["content"] for message in tab.messages if message["role"] == "tool"]
        assert "not valid: there was text outside of a parameter" in results[0]
        assert results[1].endswith("UTC")
