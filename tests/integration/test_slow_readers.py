"""Readers of a real socket that are slow, stall, or come and go."""

import asyncio
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from chat_server import running_server
from mock_provider import MockProvider, Reply
from readers import eventually, reading
from websockets.asyncio.client import connect


async def test_a_reader_that_stops_reading_is_cut_and_comes_back_where_it_was(
    tmp_path: Path, provider: MockProvider
) -> None:
    options: dict[str, Any] = {"openai_base_url": provider.url, "send_seconds": 1}
    async with running_server(tmp_path, **options) as server, server.client() as tab:
        await tab.ask("Hello")
        conversation = await server.runner.get(tab.conversation_id)
        address = f"{server.ws_url}/ws/{tab.conversation_id}"
        narrow = narrow_socket(server.url)
        async with connect(address, sock=narrow, max_queue=1, compression=None, close_timeout=0.1) as stalled:
            await stalled.recv()
            place = orjson.loads(await stalled.recv())["metadata"]["eventId"]
            for _ in range(12):
                await tab.say("x" * 60_000)
            await tab.until(lambda c: c.state["status"] == "idle" and not c.state["queue"])
            await eventually(lambda: conversation.channel.readers == 1)
        async with server.client(tab.conversation_id, after=place) as back:
            await back.until(lambda c: c.events and c.last_event_id == tab.last_event_id)
            assert not back.find(type="MESSAGES_SNAPSHOT")
            assert len(back.find(type="RUN_STARTED")) == 12


async def test_a_reader_that_pauses_gets_everything_once_and_in_order(tmp_path: Path, provider: MockProvider) -> None:
    """Eight megabytes, more than the system holds for it, so that the server meets a full socket in mid-stream."""

    async def large_pieces(request: object, reply: Reply) -> None:
        for number in range(20):
            await reply.text(f"{number} {'x' * 45_000} ")
            await asyncio.sleep(0.001)
        await reply.finish()

    provider.script = large_pieces
    async with running_server(tmp_path, openai_base_url=provider.url) as server, server.client() as tab:
        await tab.ask("Begin")
        narrow, address = narrow_socket(server.url), f"{server.ws_url}/ws/{tab.conversation_id}"
        async with connect(address, sock=narrow, max_queue=1, max_size=None, compression=None) as slow:
            events = [orjson.loads(await slow.recv()) for _ in range(2)]
            for _ in range(9):
                await tab.ask("Go on")
            while events[-1]["metadata"]["eventId"] != tab.last_event_id:
                events.append(orjson.loads(await slow.recv()))
    places = [int(event["metadata"]["eventId"].rpartition("-")[2]) for event in events[1:]]
    assert places == sorted(set(places))
    text = "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
    assert text.split()[::2] == [str(number) for number in range(20)] * 9


def narrow_socket(url: str) -> socket.socket:
    """A connection that takes in little more than what is read from it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", urlsplit(url).port))
    narrow.setblocking(False)
    return narrow


async def test_the_others_do_not_wait_for_a_stalled_reader(tmp_path: Path, provider: MockProvider) -> None:
    async with running_server(tmp_path, openai_base_url=provider.url) as server, server.client() as tab:
        await tab.ask("Hello")
        async with connect(f"{server.ws_url}/ws/{tab.conversation_id}", max_queue=1, close_timeout=0.1):
            for _ in range(5):
                assert await tab.ask("y" * 60_000) == "Hello from the mock provider."


async def test_readers_that_come_in_mid_answer_end_equal(tmp_path: Path, provider: MockProvider) -> None:
    async def count(request: object, reply: Reply) -> None:
        for number in range(400):
            await reply.text(f"{number} ")
            await asyncio.sleep(0.001)
        await reply.finish()

    provider.script = count
    async with running_server(tmp_path, openai_base_url=provider.url) as server, server.client() as tab:
        asking = asyncio.create_task(tab.ask("Count"))
        for part in range(1, 4):
            await tab.until(lambda c, part=part: len(c.find(type="TEXT_MESSAGE_CONTENT")) > part * 100)
            async with reading(server.ws_url, tab.conversation_id) as reader:
                await tab.until(lambda c, part=part: len(c.find(type="TEXT_MESSAGE_CONTENT")) > part * 100 + 30)
                await reader.detach()
                await reader.attach()
                if part == 3:
                    await asking
                    await tab.until_idle()
                    await reader.until_place(tab.last_event_id)
                    assert reader.mirror.messages == tab.messages
                    assert reader.mirror.problems == []
