import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mock_provider import MockProvider

from utils.server.database import Database
from utils.server.store import ConversationStore
from utils.stream_llm import close_clients


@pytest.fixture
async def provider() -> AsyncIterator[MockProvider]:
    """Also sees that nothing was left behind: aiohttp reports a connection that nobody closed to the event loop."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    async with MockProvider() as provider:
        yield provider
        await close_clients()
    gc.collect()
    assert complaints == []


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "chat.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def store(opened: Database) -> ConversationStore:
    return ConversationStore(opened, "chat")
