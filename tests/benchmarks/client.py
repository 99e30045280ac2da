"""The measuring end: WebSocket readers that look for the provider's marks in the raw bytes, at next to no cost."""

import asyncio
import re
import time

import orjson

MARK = re.compile(rb"@(\d+):(\d+);")
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nsec-websocket-version: 13\r\n\r\n"
)


class Reader(asyncio.Protocol):
    """One socket. `end` is what the server's last bytes of an answer contain."""

    def __init__(self, end: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.first: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self.delays: list[int] = []
        """Nanoseconds from the provider's write to this reader, chunk by chunk."""
        self._end, self._tail, self._expected = end, b"", 0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now, position = time.monotonic_ns(), 0
        self._tail += data
        if not self.opened.done() and b"\r\n\r\n" in self._tail:
            self._open()
        for mark in MARK.finditer(self._tail):
            position = mark.end()
            if int(mark[1]) != len(self.delays):
                self._fail(f"chunk {int(mark[1])} came where {len(self.delays)} was due")
            self.delays.append(now - int(mark[2]))
        self._tail = self._tail[position:]
        if self.delays and not self.first.done():
            self.first.set_result(None)
        if self._expected and len(self.delays) >= self._expected and self._end in self._tail and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server closed the connection: {error or self._tail[:200]!r}")

    def expect(self, chunks: int) -> None:
        """Get ready for an answer of that many chunks: `first` and `done` are set when they are here."""
        loop = asyncio.get_running_loop()
        self.delays, self._tail, self._expected = [], b"", chunks
        self.first, self.done = loop.create_future(), loop.create_future()

    def ask(self, chunks: int, rate: int) -> None:
        """Send the question that is answered so."""
        self.expect(chunks)
        content = f"chunks={chunks} rate={rate}"
        frame = orjson.dumps({"type": "user_message", "content": content})
        self._transport.write(bytes([0x81, 0x80 | len(frame), 0, 0, 0, 0]) + frame)

    def close(self) -> None:
        self.done.cancel()
        self._transport.abort()

    def _open(self) -> None:
        if self._tail.startswith(b"HTTP/1.1 101"):
            self.opened.set_result(None)
        else:
            self._fail(f"no WebSocket: {self._tail[:200]!r}")

    def _fail(self, problem: str) -> None:
        for future in (self.opened, self.first, self.done):
            if not future.done():
                future.set_exception(RuntimeError(problem))
                future.exception()


async def connect(port: int, end: bytes, path: str = "/ws") -> Reader:
    loop = asyncio.get_running_loop()
    transport, reader = await loop.create_connection(lambda: Reader(end), "127.0.0.1", port)
    transport.write(HANDSHAKE.format(path=path, port=port).encode())
    await reader.opened
    return reader
