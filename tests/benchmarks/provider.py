"""The mock provider, a process of its own: `python -m tests.benchmarks.provider PORT`.

It speaks just enough HTTP to be asked by the openai package and by aiohttp. The last message says what to answer:
`chunks=500 rate=50`, that many a second, or `rate=0` for a flood. Every chunk is an HTTP chunk of its own and its
content is `@NUMBER:NANOSECONDS;`, the moment it was sent by the clock that all processes of a machine share.
"""

import asyncio
import random
import re
import sys
import time

ORDER = re.compile(rb"chunks=(\d+) rate=(\d+)")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BODY = (
    b'data: {"id":"chatcmpl-BENCHMARK0123456789abcdef","object":"chat.completion.chunk","created":1795000000,'
    b'"model":"mock-model","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,'
    b'"delta":{"content":"@%d:%d;"},"logprobs":null,"finish_reason":null}]}\n\n'
)
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"
FLOOD_WRITE = 50
"""Chunks in one write of a flood."""


def http_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


LAST = b"".join(map(http_chunk, END)) + b"0\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            chunks, rate = map(int, ORDER.findall(body)[-1])
            writer.write(HEAD)
            await (paced(writer, chunks, rate) if rate else flood(writer, chunks))
            writer.write(LAST)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def paced(writer: asyncio.StreamWriter, chunks: int, rate: int) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time() + random.uniform(0, 1 / rate)  # many answers must not tick together
    for number in range(chunks):
        await asyncio.sleep(start + number / rate - loop.time())
        writer.write(http_chunk(BODY % (number, time.monotonic_ns())))
        await writer.drain()


async def flood(writer: asyncio.StreamWriter, chunks: int) -> None:
    for start in range(0, chunks, FLOOD_WRITE):
        now = time.monotonic_ns()
        numbers = range(start, min(start + FLOOD_WRITE, chunks))
        writer.write(b"".join([http_chunk(BODY % (number, now)) for number in numbers]))
        await writer.drain()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**26)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
