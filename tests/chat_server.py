"""The server object itself, on a real socket in the test's event loop, and a client for its WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from reference_reducer import Mirror
from websockets.asyncio.client import ClientConnection, connect

from main import Server, create_app
from utils.server.runner import Runner
from utils.server.settings import Settings

SECONDS = 30
"""How long a test waits for anything: generous, because the machine may be busy."""
Event = dict[str, Any]


class ChatServer:
    """A running server: its addresses, and its runner for what cannot be seen from outside."""

    def __init__(self, port: int, runner: Runner, settings: Settings) -> None:
        self.url, self.ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
        self.runner, self.settings = runner, settings

    @asynccontextmanager
    async def client(self, conversation_id: str | None = None, after: str | None = None) -> AsyncIterator["Client"]:
        async with Client.attach(self.ws_url, conversation_id, after) as client:
            yield client


@asynccontextmanager
async def running_server(data_dir: Path, **overrides: Any) -> AsyncIterator[ChatServer]:
    """A server until the block ends. `overrides` are settings, e.g. `max_queue=2`."""
    defaults = {"data_dir": data_dir, "commands_per_minute": 10_000, "port": 0, "sandbox": "off"}
    settings = Settings(**defaults | overrides)
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, log_level="warning", ws_per_message_deflate=False, timeout_graceful_shutdown=1)
    server = Server(config, app)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(SECONDS):
        while not server.started:
            await asyncio.sleep(0.01)
            if serving.done():
                serving.result()
    try:
        yield ChatServer(server.servers[0].sockets[0].getsockname()[1], app.state.runner, settings)
    finally:
        server.should_exit = True
        await serving


class Client:
    """One tab: keeps every event, and a mirror of messages and state folded from them."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []
        self.mirror = Mirror()
        self._answers: dict[str, asyncio.Future[Event]] = {}
        self._news = asyncio.Condition()
        self._commands = 0

    @classmethod
    @asynccontextmanager
    async def attach(
        cls, ws_url: str, conversation_id: str | None = None, after: str | None = None
    ) -> AsyncIterator["Client"]:
        path = f"/ws/{conversation_id}" if conversation_id else "/ws"
        query = f"?after={after}" if after else ""
        async with connect(f"{ws_url}{path}{query}", max_size=None, compression=None) as socket:
            client = cls(socket)
            reading = asyncio.create_task(client._read())
            try:
                if after is None:
                    await client.until(lambda c: c.mirror.state)
                yield client
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                await self._take(orjson.loads(frame))
        finally:
            async with self._news:
                self._news.notify_all()

    async def _take(self, event: Event) -> None:
        self.events.append(event)
        if event.get("name") in ("command_accepted", "command_rejected"):
            answer = self._answers.get(event["value"].get("commandId", ""))
            if answer and not answer.done():
                answer.set_result(event)
        else:
            self.mirror.apply(event)
        async with self._news:
            self._news.notify_all()

    @property
    def conversation_id(self) -> str:
        return str(self.state["conversation"]["id"])

    @property
    def state(self) -> dict[str, Any]:
        return self.mirror.state

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.mirror.messages

    @property
    def last_event_id(self) -> str:
        return next(e["metadata"]["eventId"] for e in reversed(self.events) if "eventId" in e.get("metadata", {}))

    async def until(self, condition: Callable[["Client"], Any]) -> None:
        """Wait until the condition holds for what has arrived."""
        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(lambda: condition(self))

    async def until_event(self, **fields: Any) -> Event:
        """Wait for an event with these fields, also one that has arrived before; returns it."""
        await self.until(lambda c: c.find(**fields))
        return self.find(**fields)[0]

    async def until_status(self, status: str) -> None:
        await self.until(lambda c: c.state["status"] == status)

    async def until_idle(self) -> None:
        """Wait until nothing runs and nothing may run."""
        await self.until_status("idle")

    def find(self, **fields: Any) -> list[Event]:
        return [event for event in self.events if all(event.get(name) == value for name, value in fields.items())]

    async def command(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send a command: what command_accepted carries, or what command_rejected does (it has a `code`)."""
        self._commands += 1
        command_id = fields.setdefault("commandId", f"{id(self)}-{self._commands}")
        answer = self._answers.setdefault(command_id, asyncio.get_running_loop().create_future())
        await self.socket.send(orjson.dumps({"type": type, **fields}).decode())
        async with asyncio.timeout(SECONDS):
            return dict((await answer)["value"])

    async def say(self, content: str, **fields: Any) -> dict[str, Any]:
        return await self.command("user_message", content=content, **fields)

    async def ask(self, content: str) -> str:
        """Say something and wait for the end of its run; the text of the last message then."""
        answer = await self.say(content)
        await self.until(lambda c: c.ended(answer["runId"]))
        return str(self.messages[-1].get("content", ""))

    def ended(self, run_id: str) -> bool:
        """Whether a run has started and ended here."""
        types = [event["type"] for event in self.events if event.get("runId") == run_id or event["type"] == "RUN_ERROR"]
        return "RUN_STARTED" in types and types[-1] in ("RUN_FINISHED", "RUN_ERROR")
