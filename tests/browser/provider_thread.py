"""A scripted provider in a thread of its own, for tests that are not asynchronous themselves."""

import asyncio
import threading
from typing import Any, Self

from mock_provider import MockProvider, Script


class ProviderThread:
    """A MockProvider with an event loop of its own: its `url` and `requests` inside the `with` block."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="provider")

    async def _run(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        async with MockProvider() as provider:
            provider.script = self._script
            self.url, self.requests = provider.url, provider.requests
            self._ready.set()
            await self._done.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)
