"""Only a real, matching, valid decision counts: anything else changes nothing, and nothing runs."""

import asyncio
from typing import Any

import pytest
from approvals import awaiting, resolved, saved
from chat_server import ChatServer, Client
from mock_provider import MockProvider


@pytest.mark.parametrize(
    "edited", [{"name": "x"}, {"name": 1, "text": "x"}, {"name": "x", "text": "x", "more": 1}, [], "x", None]
)
async def test_edited_arguments_must_fit_the_schema(server: ChatServer, provider: MockProvider, edited: Any) -> None:
    async with awaiting(server, provider, "plan") as tab:
        refused = await tab.command("resume", resume=[resolved("plan", approved=True, editedArgs=edited)])
        assert refused["code"] == "bad_command"
        assert "editedArgs" in refused["message"]
        await nothing_changed(tab)


@pytest.mark.parametrize("approved", [1, "true", "yes", None, [], {}, 1.0])
async def test_only_a_real_true_is_an_approval(server: ChatServer, provider: MockProvider, approved: Any) -> None:
    async with awaiting(server, provider, "plan") as tab:
        refused = await tab.command("resume", resume=[resolved("plan", approved=approved)])
        assert refused["code"] == "bad_command"
        await nothing_changed(tab)


@pytest.mark.parametrize("payload", [{"payload": {}}, {}, {"payload": None}, {"payload": True}])
async def test_a_missing_approval_is_none(server: ChatServer, provider: MockProvider, payload: dict[str, Any]) -> None:
    async with awaiting(server, provider, "plan") as tab:
        entry = {"interruptId": "call_plan", "status": "resolved"} | payload
        assert (await tab.command("resume", resume=[entry]))["code"] == "bad_command"
        await nothing_changed(tab)


async def test_one_bad_decision_of_several_records_none(server: ChatServer, provider: MockProvider) -> None:
    async with awaiting(server, provider, "one", "two") as tab:
        both = [resolved("one", approved=True), resolved("two", approved="true")]
        assert (await tab.command("resume", resume=both))["code"] == "bad_command"
        twice = [resolved("one", approved=True), resolved("one", approved=True)]
        assert (await tab.command("resume", resume=twice))["code"] == "bad_command"
        assert len(tab.state["interrupts"]) == 2
        await nothing_changed(tab)


async def nothing_changed(tab: Client) -> None:
    assert tab.state["status"] == "awaiting"
    assert saved(tab) == []
    async with asyncio.timeout(10):
        await tab.command("stop")
        await tab.until_idle()
    assert saved(tab) == []
