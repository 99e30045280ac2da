"""A TCP proxy that cuts an SSE stream at every kind of event: once in the middle of it, once right after it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

KIND = re.compile(rb"event: ([A-Z_]+)\n")


class CuttingProxy:
    """`cuts` are the (kind, place) at which it has cut so far; `url` is where it listens."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cuts: list[tuple[str, str]] = []
        self.url = ""

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        to_server.write(await reader.readuntil(b"\r\n\r\n"))
        try:
            await self._pass_on(upstream, writer)
        except ConnectionError:
            pass  # the client has gone
        finally:
            writer.close()  # what was written still goes
            to_server.transport.abort()

    async def _pass_on(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await upstream.readline():
            writer.write(line)
            if (kind := KIND.match(line)) and await self._cuts(kind[1].decode(), upstream, writer):
                return
            await writer.drain()

    async def _cuts(self, kind: str, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        place = "within" if (kind, "within") not in self.cuts else "after"
        if (kind, place) in self.cuts:
            return False
        self.cuts.append((kind, place))
        rest = await upstream.readuntil(b"\n\n")
        writer.write(rest if place == "after" else rest[: len(rest) // 2])
        return True


@asynccontextmanager
async def cutting_proxy(port: int) -> AsyncIterator[CuttingProxy]:
    """The proxy before `port` of this machine, until the block ends."""
    proxy = CuttingProxy(port)
    server = await asyncio.start_server(proxy.relay, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield proxy
    server.close()
