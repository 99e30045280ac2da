"""Real servers for the tests: one in the test's own event loop, or a process that can be killed."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, running_server
from mock_provider import MockProvider
from server_process import ServerProcess


@pytest.fixture
async def provider() -> AsyncIterator[MockProvider]:
    """A scripted provider on a real socket."""
    async with MockProvider() as provider:
        yield provider


@pytest.fixture
async def server(tmp_path: Path, provider: MockProvider) -> AsyncIterator[ChatServer]:
    """A server in this event loop that asks the mock provider."""
    async with running_server(tmp_path, openai_base_url=provider.url, openai_model="mock") as server:
        yield server


@pytest.fixture
async def demo_server(tmp_path: Path) -> AsyncIterator[ChatServer]:
    """A server in this event loop with the demo model."""
    async with running_server(tmp_path) as server:
        yield server


@pytest.fixture
def server_process(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes server processes (not started yet); whatever still runs is ended after the test."""
    made: list[ServerProcess] = []

    def make(data_dir: Path = tmp_path, **environment: Any) -> ServerProcess:
        made.append(ServerProcess(data_dir, **environment))
        return made[-1]

    yield make
    for process in made:
        if process.running:
            process.end(signal.SIGKILL)
