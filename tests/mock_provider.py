"""An OpenAI-compatible provider for tests: a real HTTP/1.1 server on a real socket, answering by script.

    async with MockProvider() as provider:
        async def script(request: dict, reply: Reply) -> None:
            await reply.text("Hello ", "there")
            await reply.finish()
        provider.script = script

A script that raises fails the test when the `async with` block ends.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")
NO_LINGER = struct.pack("ii", 1, 0)


class Reply:
    """What a script says to one request, and whether anybody still listens."""

    def __init__(self, writer: asyncio.StreamWriter, request_headers: dict[str, str]) -> None:
        self.request_headers = request_headers
        self.closed = asyncio.Event()
        """Set the moment the client closes its socket."""
        self._writer = writer
        self._headed = self._chunked = False

    async def head(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Status line and headers. With `connection: close` or a `content-length` the body goes out as it is."""
        lines = {"content-type": "text/event-stream", **{key.lower(): value for key, value in (headers or {}).items()}}
        self._headed = True
        self._chunked = "content-length" not in lines and lines.get("connection") != "close"
        if self._chunked:
            lines["transfer-encoding"] = "chunked"
        text = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items())
        await self._write(text.encode() + b"\r\n")

    async def chunk(self, data: dict[str, Any] | bytes) -> None:
        """A dict becomes one `data:` event; bytes are sent as they are."""
        if not self._headed:
            await self.head()
        body = data if isinstance(data, bytes) else b"data: " + json.dumps(data).encode() + b"\n\n"
        if body:  # an empty chunk would end the body
            await self._write(b"%x\r\n%b\r\n" % (len(body), body) if self._chunked else body)

    async def delta(self, **delta: Any) -> None:
        """One chunk with this delta."""
        await self.chunk({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]})

    async def text(self, *words: str) -> None:
        """One chunk of content for every word."""
        for word in words:
            await self.delta(content=word)

    async def tool_call(self, name: str, arguments: dict[str, Any], id: str = "call_1", index: int = 0) -> None:
        """A whole tool call in three pieces, as OpenAI sends it; `reply.finish("tool_calls")` comes after the last."""
        text = json.dumps(arguments)
        head = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        await self.delta(tool_calls=[head])
        for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
            await self.delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])

    async def finish(self, reason: str = "stop", usage: bool = True) -> None:
        """The finish chunk, the usage chunk (12 in, 34 out) and [DONE]."""
        await self.chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage:
            await self.chunk({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 34}})
        await self.chunk(b"data: [DONE]\n\n")

    async def error(self, status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> None:
        """An HTTP error as OpenAI words it; `fields` (code, type …) go beside the message."""
        await self.head(status, {"content-type": "application/json", **(headers or {})})
        await self.chunk(json.dumps({"error": {"message": message, **fields}}).encode())

    async def abort(self) -> None:
        """Resets the connection."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._writer.transport.abort()

    async def drop(self) -> None:
        """Closes the connection in the middle of the body."""
        self._writer.close()

    async def end(self) -> None:
        """Closes the body properly; called when the script returns."""
        if not self._headed:
            await self.head()
        if self._chunked and not self._writer.is_closing():
            await self._write(b"0\r\n\r\n")

    def note_close(self, next_request: asyncio.Task[Any]) -> None:
        if not next_request.cancelled() and next_request.result() is None:
            self.closed.set()

    async def _write(self, data: bytes) -> None:
        if self.closed.is_set():
            raise ConnectionResetError("the client has closed the connection")
        self._writer.write(data)
        await self._writer.drain()

    @property
    def keeps_alive(self) -> bool:
        return self._chunked and not self._writer.is_closing()


Script = Callable[[dict[str, Any], Reply], Awaitable[None]]


async def hello(request: dict[str, Any], reply: Reply) -> None:
    """The default script."""
    await reply.text("Hello ", "from ", "the ", "mock ", "provider.")
    await reply.finish()


class MockProvider:
    """Listens on a free port of 127.0.0.1 while entered; `script` answers every chat completion."""

    def __init__(self) -> None:
        self.script: Script = hello
        self.requests: list[dict[str, Any]] = []
        """The parsed body of every request, oldest first."""
        self.connections = 0
        """Sockets accepted so far."""
        self._failures: list[Exception] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failures:
            raise self._failures[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._own(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arriving = self._own(_read_request(reader))
        try:
            while (request := await arriving) is not None:
                path, headers, body = request
                reply = Reply(writer, headers)
                arriving = self._own(_read_request(reader))  # ahead, so that a close is seen
                arriving.add_done_callback(reply.note_close)
                await self._answer(path, body, reply)
                if not reply.keeps_alive:
                    break
        finally:
            arriving.cancel()
            writer.close()

    async def _answer(self, path: str, body: bytes, reply: Reply) -> None:
        if not path.endswith("/chat/completions"):
            await reply.error(404, f"no such path: {path}")
            return await reply.end()
        self.requests.append(json.loads(body))
        try:
            await self.script(self.requests[-1], reply)
            await reply.end()
        except ConnectionError:
            reply.closed.set()
            await reply.drop()
        except Exception as error:  # noqa: BLE001 - raised again when the block ends
            self._failures.append(error)
            await reply.abort()

    def _own(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    """Path, headers (lower case) and body of the next request; None once the client has closed."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.strip().split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return request_line.split()[1], headers, body


async def _trial() -> None:
    async with MockProvider() as provider:
        print(provider.url)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_trial())
