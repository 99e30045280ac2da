"""kill -9 and SIGTERM at random moments of streams, tools and approvals: what was accepted is never lost."""

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chat_server import Client
from mock_provider import MockProvider, Reply
from readers import Reader, eventually
from server_process import ServerProcess
from websockets.exceptions import ConnectionClosed, InvalidMessage

SERVERS, LIVES = 4, 5
LONGEST = 3.0
"""Seconds that a server lives at most."""
LOST_SECONDS = 2.5
"""How much of a growing text may be lost: a second by design, the rest for a busy machine."""
WORD_SECONDS = 0.02
CODE = "import time; open('log', 'a').write('ran\\n'); print('written', flush=True); time.sleep(5)"
seed = int(os.environ.get("KILL_SEED", "2026"))


async def story_teller(request: dict[str, Any], reply: Reply) -> None:
    """Tells a story without end, or asks for the tool that the person named."""
    said = str(request["messages"][-1]["content"])
    if request["messages"][-1]["role"] == "tool":
        await reply.text("Done.")
    elif "story" in said:
        for number in itertools.count():
            await reply.text(f"w{number} ")
            await asyncio.sleep(WORD_SECONDS)
    elif "note" in said:
        await reply.tool_call("save_note", {"name": "note", "text": "x"})
        return await reply.finish("tool_calls")
    elif "run" in said:
        await reply.tool_call("execute_python", {"code": CODE})
        return await reply.finish("tool_calls")
    else:
        await reply.text("Hello.")
    await reply.finish()


@pytest.fixture
async def provider() -> AsyncIterator[MockProvider]:
    async with MockProvider() as provider:
        provider.script = story_teller
        yield provider


class Talk:
    """One conversation of one life of a server: what was accepted, and what was seen."""

    def __init__(self, server: ServerProcess, what: str, approve: bool = True) -> None:
        self.server, self.what, self.approve = server, what, approve
        self.id, self.place = "", ""
        self.accepted: list[str] = []
        self.words: list[float] = []
        """When each word of the story arrived."""
        self.open_calls: list[str] = []
        self.approved = self.began = self.finished = False

    async def play(self) -> None:
        """Go on until it is done, or the server is gone."""
        # Killed before, during or after the handshake: no connection, half an answer, a cut one.
        with suppress(OSError, InvalidMessage, ConnectionClosed):
            async with Client.attach(self.server.ws_url) as tab:
                self.id = tab.conversation_id
                watching = asyncio.create_task(self._watch(tab))
                try:
                    await self._talk(tab)
                finally:
                    watching.cancel()

    async def _talk(self, tab: Client) -> None:
        await self.say(tab, self.what)
        if "story" not in self.what:
            return await self._decide(tab)
        await self.say(tab, "hello")
        await self.say(tab, "hello")
        await tab.socket.wait_closed()

    async def say(self, tab: Client, content: str) -> None:
        if "code" not in (answer := await tab.say(content)):
            self.accepted.append(answer["messageId"])

    async def _decide(self, tab: Client) -> None:
        await tab.until_status("awaiting")
        self.open_calls = [interrupt["id"] for interrupt in tab.state["interrupts"]]
        if not self.approve:
            return
        decision = {"interruptId": self.open_calls[0], "status": "resolved", "payload": {"approved": True}}
        self.approved = "code" not in await tab.command("resume", resume=[decision])
        await tab.until(lambda c: c.find(name="tool_output") or c.find(type="TOOL_CALL_RESULT"))
        self.began = True
        await tab.until_idle()
        self.finished = True

    async def _watch(self, tab: Client) -> None:
        while True:
            seen = len(tab.events)
            await tab.until(lambda c, seen=seen: len(c.events) > seen)
            for event in tab.events[seen:]:
                self.place = event.get("metadata", {}).get("eventId", self.place)
                words = event.get("delta", "").split() if event["type"] == "TEXT_MESSAGE_CONTENT" else []
                self.words += [time.monotonic()] * len(words)

    async def check(self, killed_at: float) -> None:
        """After the restart."""
        if not self.accepted:
            return
        async with Client.attach(self.server.ws_url, self.id) as tab:
            await tab.until(lambda c: c.state["status"] in ("idle", "awaiting"))
            there = {message["id"] for message in [*tab.messages, *tab.state["queue"]]}
            assert there >= set(self.accepted)
            assert all(waiting["held"] for waiting in tab.state["queue"])
            if "story" in self.what:
                self._check_story(tab, killed_at)
            if self.open_calls:
                await self._check_tool(tab)
        if self.place:
            reader = Reader(self.server.ws_url, self.id)
            reader.place = self.place
            await reader.attach()
            await reader.until_place(tab.last_event_id)
            assert reader.kinds == ["MESSAGES_SNAPSHOT", "STATE_SNAPSHOT"]
            assert (reader.mirror.messages, reader.mirror.state) == (tab.messages, tab.state)
            await reader.detach()

    def _check_story(self, tab: Client, killed_at: float) -> None:
        told = [message for message in tab.messages if message["role"] == "assistant"]
        kept = len(str(told[0]["content"]).split()) if told else 0
        assert kept >= sum(at < killed_at - LOST_SECONDS for at in self.words)
        assert all(message["metadata"] == {"status": "interrupted"} for message in told)
        assert not told or tab.state["lastError"]["code"] == "server_restarted"
        assert len(tab.state["queue"]) >= len(self.accepted) - 1  # one may be stored and not yet acknowledged

    async def _check_tool(self, tab: Client) -> None:
        results = [str(m["content"]) for m in tab.messages if m["role"] == "tool"]
        if not self.approve:
            assert [interrupt["id"] for interrupt in tab.state["interrupts"]] == self.open_calls
            decision = {"interruptId": self.open_calls[0], "status": "resolved", "payload": {"approved": True}}
            answer = await tab.command("resume", resume=[decision])
            await tab.until(lambda c: c.ended(answer["runId"]))
            await tab.until_idle()
            assert "Saved" in str(tab.messages[-2]["content"])
            assert tab.messages[-1]["content"] == "Done."
        elif self.approved:
            assert len(results) == 1
            outcomes = ("Outcome unknown", "written", "Saved")
            assert self.finished or not self.began or any(outcome in results[0] for outcome in outcomes)
            assert self.runs() <= 1
            assert self.runs() == 0 or "Not executed" not in results[0]

    def runs(self) -> int:
        log = self.server.data_dir / "workspaces" / self.id / "log"
        return log.read_text().count("ran") if log.exists() else 0


async def live(server: ServerProcess, moment: float) -> list[Talk]:
    """Keep the server busy and kill it after `moment` seconds."""
    talks = [Talk(server, "Tell me a story"), Talk(server, "run it"), Talk(server, "note it", approve=False)]
    busy = [asyncio.create_task(talk.play()) for talk in talks]

    async def notes_without_end() -> None:
        while server.running:
            talks.append(Talk(server, "note this"))
            await talks[-1].play()

    busy.append(asyncio.create_task(notes_without_end()))
    await asyncio.sleep(moment)
    await asyncio.to_thread(server.end, signal.SIGKILL)
    await leave(busy)
    return talks


async def leave(busy: list[asyncio.Task[None]]) -> None:
    """End what a server that is gone cannot answer any more; whatever else went wrong is raised."""
    for task in busy:
        task.cancel()
    for outcome in await asyncio.gather(*busy, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def lives(server: ServerProcess, moments: list[float]) -> None:
    await asyncio.to_thread(server.start)
    for moment in moments:
        talks = await live(server, moment)
        killed_at = time.monotonic()
        await asyncio.to_thread(server.start)
        await asyncio.gather(*(talk.check(killed_at) for talk in talks))
    await asyncio.to_thread(server.end, signal.SIGKILL)


async def test_twenty_kills_lose_nothing_that_was_accepted(
    server_process: Callable[..., ServerProcess], provider: MockProvider, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    async with asyncio.TaskGroup() as group:
        for number in range(SERVERS):
            server = server_process(tmp_path / str(number), OPENAI_BASE_URL=provider.url, SANDBOX="none")
            moments = [chance.uniform(0.2, LONGEST) for _ in range(LIVES)]
            group.create_task(lives(server, moments))


async def test_sigterm_interrupts_stores_and_says_goodbye(
    server_process: Callable[..., ServerProcess], provider: MockProvider
) -> None:
    server = server_process(OPENAI_BASE_URL=provider.url, SANDBOX="none")
    await asyncio.to_thread(server.start)
    story, tool, note = Talk(server, "Tell me a story"), Talk(server, "run it"), Talk(server, "note", approve=False)
    playing = [asyncio.create_task(talk.play()) for talk in (story, tool, note)]
    await eventually(lambda: len(story.words) > 20 and len(story.accepted) == 3 and tool.began and note.open_calls)
    reader = Reader(server.ws_url, story.id)
    await reader.attach()
    began = time.monotonic()
    await asyncio.to_thread(server.end, signal.SIGTERM)
    assert time.monotonic() - began < 8  # 5 s by design
    assert await reader.until_closed() == 1012
    assert "Traceback" not in server.errors
    await leave(playing)
    await asyncio.to_thread(server.start)
    async with Client.attach(server.ws_url, story.id) as tab:
        assert len(str(tab.messages[1]["content"]).split()) >= len(story.words)
        assert tab.messages[1]["metadata"] == {"status": "interrupted"}
        assert [waiting["held"] for waiting in tab.state["queue"]] == [True, True]
        assert await tab.ask("hello") == "Hello."
    await tool.check(began)
    await note.check(began)
