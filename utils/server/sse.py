"""Events as Server-Sent Events: the same batches that the WebSocket sends, with `id:` and `event:` on each."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import Gauge
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from utils.server.bus import Channel, Entry, Gone
from utils.server.metrics import Metrics
from utils.server.problems import ConversationId, find
from utils.server.runner import Runner
from utils.server.settings import Settings

log = logging.getLogger(__name__)
RETRY_MS = 1000
COMMENT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """Sends what `chunks` yields, and a comment whenever that is nothing for COMMENT_SECONDS.

    `chunks` is closed the moment the client goes, also while a send waits for it, or when one takes `send_seconds`.
    `open_streams` counts the streams that are open.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None], send_seconds: float, open_streams: Gauge) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._chunks, self._send_seconds, self._open_streams = chunks, send_seconds, open_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(self._write(send))
        listening = asyncio.create_task(_until_gone(receive))
        try:
            with self._open_streams.track_inprogress():
                await asyncio.wait({writing, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(writing, listening)
            await self._chunks.aclose()
        if not writing.cancelled() and (error := writing.exception()):
            if not isinstance(error, TimeoutError):
                raise error
            log.info("%s: a client that stopped reading is cut", scope["path"])

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with contextlib.aclosing(with_comments(self._chunks)) as chunks:
            async for chunk in chunks:
                async with asyncio.timeout(self._send_seconds):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def with_comments(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """What `chunks` yields, and comments while nothing comes."""
    following: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(chunks, None))
            await asyncio.wait({following}, timeout=COMMENT_SECONDS)
            if not following.done():
                yield b": still here\n\n"
                continue
            chunk, following = following.result(), None
            if chunk is None:
                return
            yield chunk
    finally:
        if following:
            await _end(following)


async def lines(channel: Channel, after: str | None) -> AsyncGenerator[bytes, None]:
    """The channel's events from `after` on, until it is closed."""
    yield b"retry: %d\n\n" % RETRY_MS
    with contextlib.suppress(Gone):
        async with contextlib.aclosing(channel.read(after)) as batches:
            async for batch in batches:
                if batch:
                    yield b"".join(map(_frame, batch))


def _frame(entry: Entry) -> bytes:
    return f"id: {entry.id}\nevent: {entry.event['type']}\ndata: {entry.text}\n\n".encode()


def create_router(runner: Runner, settings: Settings, metrics: Metrics) -> APIRouter:
    """GET /events and GET /events/{conversation_id}."""
    router = APIRouter(prefix="/events")

    def stream(channel: Channel, request: Request, after: str | None) -> Response:
        chunks = lines(channel, request.headers.get("last-event-id") or after)
        return EventStream(chunks, settings.send_seconds, metrics.readers.labels("sse"))

    @router.get("", include_in_schema=False)
    async def list_events(request: Request, after: str | None = None) -> Response:
        return stream(runner.feed, request, after)

    @router.get("/{conversation_id}", include_in_schema=False)
    async def conversation_events(
        conversation_id: ConversationId, request: Request, after: str | None = None
    ) -> Response:
        conversation = await find(runner, conversation_id)
        return stream(conversation.channel, request, after)

    return router


if __name__ == "__main__":

    async def trial() -> None:
        channel = Channel()
        channel.publish({"type": "CUSTOM", "name": "hello", "value": 1})
        channel.close(1012)
        async for chunk in with_comments(lines(channel, None)):
            print(chunk.decode())

    asyncio.run(trial())
