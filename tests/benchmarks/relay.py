"""The bare relay, the least there can be: `python -m tests.benchmarks.relay PORT PROVIDER_URL`.

Raw ASGI under the same uvicorn with the same options, and the same aiohttp client. It keeps nothing, parses nothing
and sends every chunk of the provider's body as a text frame.
"""

import sys
from typing import Any

import aiohttp
import uvicorn


class Relay:
    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._chat(receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ready"})

    async def _chat(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self._session = self._session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        while (message := await receive())["type"] == "websocket.receive":
            async with self._session.post(f"{self._provider}/chat/completions", data=message["text"]) as response:
                begun = b""
                async for data, whole in response.content.iter_chunks():
                    if whole:
                        await send({"type": "websocket.send", "text": (begun + data).decode()})
                    begun = b"" if whole else begun + data


if __name__ == "__main__":
    relay: Any = Relay(sys.argv[2])
    uvicorn.run(relay, port=int(sys.argv[1]), log_level="warning", ws_per_message_deflate=False, lifespan="off")
