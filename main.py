"""The app: settings in, doors mounted; the WebSocket handler; answer(), the few lines that run the flow."""

import argparse
import asyncio
import contextlib
import gc
import logging
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import QueryParams
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

from flow import create_chat_flow
from utils import agents, limits, python_sandbox
from utils.limits import Limits
from utils.llm.connection import Model, close_clients, warm
from utils.llm.patience import Patience
from utils.server import agui, commands, events, files, metrics, problems, rest, sse, start, workspace
from utils.server.bus import Entry, Gone
from utils.server.conversation import Conversation
from utils.server.database import Database
from utils.server.guard import Guard
from utils.server.rows import new_id
from utils.server.runner import NotFound, Runner
from utils.server.settings import BadSetting, Settings, read_settings

VERSION = "0.1.0"
STATIC = Path(__file__).parent / "static"
log = logging.getLogger("chat")
chat_flow = create_chat_flow()


async def answer(shared: dict[str, Any]) -> None:
    """Do all the work that waits in one conversation."""
    await chat_flow.run_async(shared)


def create_app(settings: Settings) -> FastAPI:
    """The whole server as an ASGI app; nothing is opened before its lifespan starts."""
    configure(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.data_dir / "chat.sqlite3")
    idle_seconds = settings.idle_minutes * 60
    runner = Runner(database, answer, remove_traces, idle_seconds, settings.retention_days)
    model = agents.model_for(agents.FALLBACK)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(warm_up(model), name="warm")
        resting = asyncio.create_task(stop_idle_kernels(idle_seconds), name="stop idle kernels")
        await runner.start()
        yield
        await runner.close()
        resting.cancel()
        await asyncio.gather(warming, python_sandbox.close(), return_exceptions=True)
        await close_clients()
        database.close()

    app = FastAPI(title="PocketFlow chat", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.runner, app.state.settings = runner, settings
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    problems.install(app)
    watched = metrics.Metrics(runner)
    app.include_router(rest.create_router(runner, settings, chat_flow.graph, agents.listing))
    app.include_router(files.create_router(runner, settings))
    app.include_router(sse.create_router(runner, settings, watched))
    app.include_router(agui.create_router(runner, settings, watched, agents.AGENTS))
    app.include_router(metrics.create_router(watched))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/healthz", responses={503: {"description": "It cannot serve"}})
    async def healthz() -> JSONResponse:
        level = await python_sandbox.level()
        body = {"status": "ok", "version": VERSION, "model": model.name, "demo": model.demo, "store": "sqlite"}
        body |= {"bus": "memory", "sandbox": level.name} | ({"warning": level.warning} if level.warning else {})
        try:
            await database.transact(lambda c: c.execute("SELECT 1").fetchone())
        except Exception as error:
            log.exception("healthz: the store does not answer")
            return JSONResponse(body | {"status": f"the store does not answer: {error}"}, status_code=503)
        return JSONResponse(body)

    async def new_chat(websocket: WebSocket, send: Send) -> None:
        conversation = runner.create(new_id("chat"))
        try:
            await serve(websocket, send, conversation)
        finally:
            runner.forget_unstored(conversation)

    async def chat(websocket: WebSocket, send: Send, conversation_id: str) -> None:
        try:
            conversation = await runner.get(conversation_id)
        except NotFound:
            problem = {"code": "not_found", "message": f"There is no conversation {conversation_id}."}
            return await websocket.send_denial_response(JSONResponse(problem, status_code=404))
        await serve(websocket, send, conversation)

    def sockets(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """WS /ws and /ws/{conversation_id}, past the layers of FastAPI, which would cost each socket 10 kB."""
        websocket, path = WebSocket(scope, receive, send), scope["path"]
        return new_chat(websocket, send) if path == "/ws" else chat(websocket, send, path.removeprefix("/ws/"))

    async def serve(websocket: WebSocket, send: Send, conversation: Conversation) -> None:
        """Events out, commands in, until the client goes, stops reading, or the channel is closed."""
        await websocket.accept()
        with watched.readers.labels("websocket").track_inprogress():
            try:
                async with asyncio.TaskGroup() as group:
                    writer = group.create_task(send_events(websocket, send, conversation))
                    await take_commands(websocket, conversation)
                    writer.cancel()
            except* (WebSocketDisconnect, TimeoutError):
                pass  # it is gone, or is cut off now because it has stopped reading

    async def send_events(websocket: WebSocket, send: Send, conversation: Conversation) -> None:
        after = QueryParams(websocket.scope["query_string"]).get("after")
        patience = Patience(settings.send_seconds)

        def at_once(entry: Entry) -> bool:
            return sent_at_once(send(frame(entry.text)))

        try:
            async with contextlib.aclosing(conversation.channel.read(after, at_once)) as batches:
                async for batch in batches:
                    for entry in batch:
                        patience.allow(settings.send_seconds)
                        with patience:
                            await websocket.send(frame(entry.text))
                    del batch, entry  # it may be a whole history, and the next one may be long in coming
        except Gone as gone:
            await websocket.close(gone.code)
        finally:
            patience.close()

    async def take_commands(websocket: WebSocket, conversation: Conversation) -> None:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            said = message.get("text") or message.get("bytes") or ""
            reply = orjson.dumps(await reply_to(said, conversation)).decode()
            async with asyncio.timeout(settings.send_seconds):
                await websocket.send(frame(reply))

    async def reply_to(said: str | bytes, conversation: Conversation) -> events.Event:
        command: dict[str, Any] = {}
        try:
            command = commands.parse(said, settings)
            reply = await commands.execute(runner, conversation, command, settings)
            name = "command_accepted"
        except commands.Rejected as rejected:
            name, reply = "command_rejected", {"code": rejected.code, "message": rejected.message}
        command_id = command.get("commandId") or commands.command_id_of(said)
        return events.custom(name, ({"commandId": command_id} if command_id else {}) | reply)

    app.middleware_stack = Guard(app.build_middleware_stack(), settings, sockets)
    return app


def frame(text: str) -> Message:
    return {"type": "websocket.send", "text": text}


def sent_at_once(sending: Awaitable[None]) -> bool:
    """Whether a frame went out without waiting; if not, nothing was sent, as uvicorn waits before it writes.

    Also False for a socket that is gone: its own task hears of that when it tries.
    """
    steps = sending.__await__()
    try:
        next(steps)
    except StopIteration:
        return True
    except OSError:
        return False
    steps.close()
    return False


async def warm_up(model: Model) -> None:
    """Import what the first answer needs, then spare the garbage collector what stays for good anyway."""
    await warm(model)
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def remove_traces(conversation_id: str) -> None:
    """What a deleted conversation leaves outside the store: its kernel and its files."""
    await python_sandbox.stop_kernel(conversation_id)
    await asyncio.to_thread(workspace.remove, conversation_id)


async def stop_idle_kernels(idle_seconds: float) -> None:
    while True:
        await asyncio.sleep(min(60.0, idle_seconds))
        await python_sandbox.stop_idle(idle_seconds)


def configure(settings: Settings) -> None:
    """Hand the settings to the utils that need some."""
    model = Model(
        "demo" if settings.demo else settings.openai_model,
        settings.openai_base_url or None,
        settings.openai_api_key or None,
        demo=settings.demo,
    )
    agents.configure(model)
    limits.configure(Limits(**{field.name: getattr(settings, field.name) for field in fields(Limits)}))
    workspace.configure(settings.data_dir)
    code_limits = python_sandbox.SandboxLimits(seconds=settings.tool_seconds)
    python_sandbox.configure(settings.sandbox, settings.data_dir, code_limits)  # type: ignore[arg-type]


class Server(uvicorn.Server):
    """Ends the runs before the connections, so that everyone still hears how they ended."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._runner: Runner = app.state.runner
        self._send_seconds: float = app.state.settings.send_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever stops reading is cut by the system: closing such a connection would wait for its reader."""
        await super().startup(sockets)
        if self.started and hasattr(socket, "TCP_USER_TIMEOUT"):
            for listening in (one for server in self.servers for one in server.sockets):
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._send_seconds * 1000))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._runner.close()
        await super().shutdown(sockets)


def main() -> None:
    parser = argparse.ArgumentParser(description="A chat agent server. Settings: see .env.example.")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--no-open", action="store_true", help="do not open the page in a browser")
    arguments = parser.parse_args()
    try:
        settings = read_settings(host=arguments.host, port=arguments.port)
        free = start.free_port(settings.host, settings.port)
        if free != settings.port:
            raise BadSetting(f"Port {settings.port} is in use. The next free one is {free}: try --port {free}.")
        held = start.lock(settings.data_dir)
        start.log_to_stderr(settings.log_level)
        app = create_app(settings)
    except BadSetting as error:
        sys.exit(f"Cannot start: {error}")
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{name}:{settings.port}"
    print(f"Serving on {url}" + (" with the demo model (set OPENAI_API_KEY for a real one)" if settings.demo else ""))
    if not arguments.no_open:
        threading.Thread(target=start.open_page, args=(url,), daemon=True).start()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    with held, contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean end
        Server(config, app).run()


if __name__ == "__main__":
    main()
