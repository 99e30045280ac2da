"""Server-Sent Events: what goes over the line, coming back after a cut, and ends that come at once."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import orjson
import psutil
import pytest
from agui_client import needs_node, node
from chat_server import SECONDS, ChatServer, running_server
from cutting_proxy import cutting_proxy
from mock_provider import MockProvider, Reply
from reference_reducer import Mirror
from server_process import ServerProcess
from websockets.asyncio.client import connect

from utils.server import sse

KINDS = [
    *("MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_STARTED", "RUN_FINISHED", "STEP_STARTED", "STEP_FINISHED"),
    *("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "REASONING_START", "REASONING_END"),
    *("REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END"),
    *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"),
]


class Lines:
    """An SSE response read by hand: its head, then one frame after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> bytes:
        """The next frame with its blank line, without the chunks of HTTP; b"" at the end."""
        async with asyncio.timeout(SECONDS):
            pieces = b""
            while not pieces.endswith(b"\n\n"):
                size = int(await self.reader.readline(), 16)
                pieces += (await self.reader.readexactly(size + 2))[:-2]
                if not size:
                    return b""
            return pieces

    async def until(self, part: bytes) -> bytes:
        while part not in (frame := await self.frame()):
            assert frame, f"the stream ended before {part!r}"
        return frame


@asynccontextmanager
async def lines(url: str, path: str, receive_buffer: int = 0, **headers: str) -> Any:
    narrow = socket.socket()
    if receive_buffer:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", urlsplit(url).port))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=4096 if receive_buffer else 2**20)
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n{extra}\r\n".encode())
    try:
        if not receive_buffer:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        yield Lines(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_frame_has_its_id_its_type_and_the_event(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        async with lines(server.url, f"/events/{tab.conversation_id}") as stream:
            frames = (await stream.until(b"event: STATE_SNAPSHOT")).split(b"\n\n")
        assert b"\r" not in b"".join(frames)
        names = [line.partition(b": ")[0] for line in frames[-2].split(b"\n")]
        assert names == [b"id", b"event", b"data"]
        fields = dict(line.split(b": ", 1) for line in frames[-2].split(b"\n"))
        event = orjson.loads(fields[b"data"])
        assert fields[b"event"].decode() == event["type"]
        assert fields[b"id"].decode() == event["metadata"]["eventId"] == tab.last_event_id


async def test_it_begins_with_the_time_to_wait_before_a_new_attempt(server: ChatServer) -> None:
    async with lines(server.url, "/events") as stream:
        assert await stream.frame() == b"retry: 1000\n\n"


async def test_a_comment_when_nothing_happens(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "COMMENT_SECONDS", 0.05)
    async with lines(server.url, "/events") as stream:
        await stream.frame()
        assert await stream.frame() == b": still here\n\n"


async def test_it_is_live_also_for_a_client_that_takes_gzip(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        async with lines(server.url, f"/events/{tab.conversation_id}") as stream:
            await stream.until(b"STATE_SNAPSHOT")
            await tab.say("Again")
            await stream.until(b"RUN_FINISHED")


@pytest.mark.parametrize("how", ["header", "query"])
async def test_it_goes_on_after_a_known_id(server: ChatServer, how: str) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        place = tab.last_event_id
        await tab.ask("Again")
        path, header = f"/events/{tab.conversation_id}", {"Last_Event_ID": place} if how == "header" else {}
        async with lines(server.url, path + ("" if header else f"?after={place}"), **header) as stream:
            first, number = await stream.until(b"id: "), int(place.rpartition("-")[2])
            assert first.startswith(b"id: %b-%d\n" % (place.rpartition("-")[0].encode(), number + 1))


@pytest.mark.parametrize("place", ["nonsense", "0-5", "", "-", "%s-99999999", "%s--1", "%s-" + "9" * 5000, "%s-٣"])
async def test_an_id_that_is_not_held_gets_snapshots(server: ChatServer, place: str) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        place = place.replace("%s", tab.last_event_id.partition("-")[0])
        async with (
            httpx.AsyncClient(timeout=SECONDS) as client,
            client.stream("GET", f"{server.url}/events/{tab.conversation_id}", params={"after": place}) as response,
        ):
            kinds = [line async for line in until_line(response, "event: STATE_SNAPSHOT") if line.startswith("event")]
        assert kinds == ["event: MESSAGES_SNAPSHOT", "event: STATE_SNAPSHOT"]


async def until_line(response: httpx.Response, last: str) -> Any:
    async for line in response.aiter_lines():
        yield line
        if line == last:
            return


@pytest.mark.parametrize(
    "path", ["/events/nothing", "/events/a%20b", "/events/%00", f"/events/{'x' * 65}", "/ws/a%20b"]
)
async def test_an_unknown_or_impossible_id_is_refused(server: ChatServer, path: str) -> None:
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        answer = await client.get(server.url + path)
        assert answer.status_code in (404, 422)
        assert answer.json()["message"]


async def test_the_list_tells_of_new_and_deleted_conversations(server: ChatServer) -> None:
    async with lines(server.url, "/events") as stream, httpx.AsyncClient(timeout=SECONDS) as client:
        await stream.frame()
        async with server.client() as tab:
            await tab.ask("Hello")
            changed = await stream.until(b"conversation_changed")
            assert tab.conversation_id.encode() in changed
            await client.delete(f"{server.url}/api/conversations/{tab.conversation_id}")
            assert tab.conversation_id.encode() in await stream.until(b"conversation_deleted")


async def test_a_deleted_conversations_stream_ends(server: ChatServer) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        async with lines(server.url, f"/events/{tab.conversation_id}") as stream:
            await stream.until(b"STATE_SNAPSHOT")
            async with httpx.AsyncClient(timeout=SECONDS) as client:
                await client.delete(f"{server.url}/api/conversations/{tab.conversation_id}")
            while await stream.frame():
                pass


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("reads", [True, False], ids=["idle", "under back-pressure"])
async def test_the_stream_ends_the_moment_the_client_goes(server: ChatServer, reads: bool) -> None:
    async with server.client() as tab:
        await tab.ask("Hello")
        channel = (await server.runner.get(tab.conversation_id)).channel
        path, buffer = f"/events/{tab.conversation_id}", 0 if reads else 4096
        async with lines(server.url, path, buffer):
            await until(lambda: channel.readers == 2)
            for _ in range(0 if reads else 100):
                await tab.ask("x" * 60_000)
        await until(lambda: channel.readers == 1)


async def test_sigterm_ends_every_stream_at_once(server_process: Callable[..., ServerProcess]) -> None:
    process = await asyncio.to_thread(lambda: server_process().start())
    async with lines(process.url, "/events") as stream:
        await stream.frame()
        begun = time.monotonic()
        status = await asyncio.to_thread(process.end)
        assert await stream.frame() == b""
        assert time.monotonic() - begun < 5
        assert status in (0, -signal.SIGTERM)
        assert process.errors == ""


async def thinks_and_uses_a_tool(request: dict[str, Any], reply: Reply) -> None:
    if request["messages"][-1]["role"] == "tool":
        await reply.text("It is ", "late.")
        return await reply.finish()
    await reply.delta(reasoning_content="A clock ")
    await reply.delta(reasoning_content="would help.")
    await reply.text("Let me ", "see.")
    await reply.tool_call("current_time", {})
    await reply.finish("tool_calls")


@needs_node
async def test_eventsource_behind_a_proxy_that_cuts_at_every_kind_of_event(
    server: ChatServer, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "RETRY_MS", 20)
    provider.script = thinks_and_uses_a_tool
    async with server.client() as tab, cutting_proxy(urlsplit(server.url).port or 0) as proxy:
        await tab.ask("Hello")
        wanted = {"url": f"{proxy.url}/events/{tab.conversation_id}", "types": KINDS}
        following = asyncio.create_task(node("events.mjs", wanted))
        await until(lambda: len(proxy.cuts) == 4)  # both places of both snapshots
        await tab.ask("What time is it?")
        await tab.until_idle()
        told = await following
        assert {kind for kind, _ in proxy.cuts} == set(KINDS)
        assert told["opened"] > 2 * len(KINDS) - 4
        mirror = Mirror()
        for entry in told["events"]:
            mirror.apply(entry["event"])
        assert (mirror.messages, mirror.state) == (tab.messages, tab.state)
        assert mirror.problems == []
        runs = [entry["id"] for entry in told["events"] if "SNAPSHOT" not in entry["event"]["type"]]
        assert len(set(runs)) == len(runs)


class Ticker:
    """A provider script of `count` large deltas that begin with the time they were sent at."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def __call__(self, request: dict[str, Any], reply: Reply) -> None:
        for _ in range(self._count):
            await reply.text(f"@{time.monotonic():.3f} " + "x" * 2000)
            await asyncio.sleep(0.02)
        await reply.finish()


async def follow_sse(url: str, conversation_id: str, ready: asyncio.Semaphore) -> list[float]:
    """How late each delta came, in seconds, until the run has ended."""
    async with lines(url, f"/events/{conversation_id}") as stream:
        await stream.until(b"STATE_SNAPSHOT")
        ready.release()
        late: list[float] = []
        while b"RUN_FINISHED" not in (frames := await stream.frame()):
            late += [time.monotonic() - float(part.split(b" ", 1)[0]) for part in frames.split(b"@")[1:]]
        return late


async def follow_websocket(url: str, conversation_id: str, ready: asyncio.Semaphore) -> list[float]:
    async with connect(f"{url}/ws/{conversation_id}", compression=None, max_size=None) as socket:
        ready.release()
        late: list[float] = []
        while "RUN_FINISHED" not in (frame := str(await socket.recv())):
            late += [time.monotonic() - float(part.split(" ", 1)[0]) for part in frame.split("@")[1:]]
        return late


async def test_200_sse_readers_and_200_websockets_one_of_them_stalled(
    server_process: Callable[..., ServerProcess], provider: MockProvider
) -> None:
    provider.script = Ticker(100)
    settings = {"OPENAI_BASE_URL": provider.url, "SEND_SECONDS": "2", "SANDBOX": "off"}
    process = await asyncio.to_thread(lambda: server_process(**settings).start())
    ready = asyncio.Semaphore(0)
    async with httpx.AsyncClient(base_url=process.url, timeout=SECONDS) as client:
        await client.post("/api/conversations", json={"id": "busy"})
        readers = [asyncio.create_task(follow_sse(process.url, "busy", ready)) for _ in range(199)]
        readers += [asyncio.create_task(follow_websocket(process.ws_url, "busy", ready)) for _ in range(200)]
        async with lines(process.url, "/events/busy", receive_buffer=4096):
            for _ in readers:
                await ready.acquire()
            memory = psutil.Process(process.pid).memory_info().rss
            await client.post("/api/conversations/busy/commands", json={"type": "user_message", "content": "Go"})
            async with asyncio.timeout(SECONDS * 3):
                late = await asyncio.gather(*readers)
                while 'chat_readers{door="sse"} 0.0' not in (await client.get("/metrics")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        grown = psutil.Process(process.pid).memory_info().rss - memory
    assert max(max(one) for one in late) < 10
    assert grown < 100 * 2**20


async def test_a_reader_that_stops_reading_is_cut(tmp_path: Any, provider: MockProvider) -> None:
    settings = {"openai_base_url": provider.url, "send_seconds": 1}
    async with running_server(tmp_path, **settings) as server, server.client() as tab:
        await tab.ask("Hello")
        channel = (await server.runner.get(tab.conversation_id)).channel
        async with lines(server.url, f"/events/{tab.conversation_id}", 4096) as stalled:
            await until(lambda: channel.readers == 2)
            for _ in range(10):
                await tab.ask("x" * 60_000)
            await until(lambda: channel.readers == 1)
            with pytest.raises(ConnectionResetError):
                await stalled.reader.read()
