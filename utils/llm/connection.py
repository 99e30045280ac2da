"""Clients, requests and their connections: what the openai package and its aiohttp transport do for us.

Importing openai takes half a second or more and making a client about a third of one, so both happen late, once and in
a thread; importing this module costs nothing.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from utils.llm.chat_stream import ChatStream
from utils.llm.errors import ModelError, error_from_status, without_secrets
from utils.llm.patience import Patience

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI = "https://api.openai.com/v1"
GRACE = 5.0
"""Seconds to wait for usage and [DONE] once the answer's finish_reason is there."""
LINGER = 0.25
"""Seconds to wait after [DONE] for the body's end, so that the connection can be used again."""


@dataclass(frozen=True, slots=True)
class Model:
    """Which model, and where. `base_url` None is OpenAI's; `demo` is the built-in model that needs neither."""

    name: str
    base_url: str | None = None
    api_key: str | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, until the first delta, and from one delta to the next."""

    connect: float = 10.0
    first_token: float = 60.0
    stall: float = 60.0


_clients: dict[tuple[str | None, str | None, bool], "AsyncOpenAI"] = {}
_making = threading.Lock()
_without_usage: set[str | None] = set()
"""Base URLs that reject `stream_options`."""
_answered: set[str | None] = set()
"""Base URLs that have answered, so that a connection to them may be an old one."""


async def warm(model: Model) -> None:
    """Does the slow part of the first request ahead of it."""
    if (model.base_url, model.api_key, model.demo) not in _clients:
        await asyncio.to_thread(_make_client, model)


async def close_clients() -> None:
    """Closes every connection. Whoever still reads an answer must be cancelled first."""
    while _clients:
        await _clients.popitem()[1].close()


class Answer:
    """A request that was taken: `read` what the network brings."""

    def __init__(self, response: Any, model: Model, timeouts: Timeouts, patience: Patience) -> None:
        # Unpacked bytes come through two more layers, at a tenth of what a delta costs in all.
        packed = "content-encoding" in response.headers
        self._bytes: AsyncIterator[bytes] = response.aiter_bytes() if packed else aiter(response.stream)
        self._model = model
        self._timeouts = timeouts
        self._patience = patience
        self._begun = self._finishing = False

    async def read(self) -> bytes:
        """The next bytes; none once the server has closed, or when nothing more matters."""
        try:
            with self._patience:
                return await anext(self._bytes, b"")
        except _failures() as error:
            if self._finishing:
                return b""
            raise _explained(error, self._model, self._timeouts, self._begun) from None

    def note(self, stream: ChatStream, moved: bool) -> None:
        """Sets how long to wait next; `moved` says that the last read brought a delta."""
        if stream.finish_reason and not self._finishing:
            self._patience.allow(GRACE)
            self._finishing = True
        elif moved and not self._finishing:
            self._patience.allow(self._timeouts.stall)
        self._begun = self._begun or moved

    async def run_out(self) -> None:
        """Reads the body's end, so that the connection can be used again."""
        self._finishing = True
        self._patience.allow(LINGER)
        await self.read()
        _answered.add(self._model.base_url)


@asynccontextmanager
async def ask(request: dict[str, Any], model: Model, timeouts: Timeouts) -> AsyncIterator[Answer]:
    """Sends the request; leaving the block closes its connection. Raises ModelError, as `read` does."""
    await warm(model)
    client = _clients[model.base_url, model.api_key, model.demo]
    patience = Patience(timeouts.first_token)
    async with AsyncExitStack() as stack:
        stack.callback(patience.close)
        try:
            with patience:
                response = await _send(client, request, model, timeouts, stack)
        except _failures() as error:
            raise _explained(error, model, timeouts, begun=False) from None  # the error itself may quote the key
        yield Answer(response, model, timeouts, patience)


async def _send(
    client: "AsyncOpenAI", request: dict[str, Any], model: Model, timeouts: Timeouts, stack: AsyncExitStack
) -> Any:
    """The response, once its headers are there. Asks for usage where the server can take that."""
    from httpx2 import Response
    from openai import APIStatusError, OpenAIError, Timeout

    async def post(body: dict[str, Any]) -> Response:
        # What `chat.completions.create` does in the end; it would walk through every message first, and again as JSON.
        content = orjson.dumps({"model": model.name, "stream": True, **body})
        path, timeout = "/chat/completions", Timeout(None, connect=timeouts.connect)
        response = await client.post(
            path, cast_to=Response, content=content, options={"timeout": timeout}, stream=True, stream_cls=None
        )
        stack.push_async_callback(response.aclose)
        return response

    async def send(body: dict[str, Any]) -> Response:
        try:
            return await post(body)
        except OpenAIError as error:
            if model.base_url not in _answered or not _hung_up(error):
                raise
        return await post(body)

    if model.base_url not in _without_usage:
        try:
            return await send({"stream_options": {"include_usage": True}, **request})
        except APIStatusError as error:
            if error.status_code not in (400, 422) or "stream_options" not in error.response.text:
                raise
            _without_usage.add(model.base_url)
    return await send(request)


def _hung_up(error: BaseException) -> bool:
    """Whether the server closed the connection instead of answering, as llama.cpp does with every one that was kept."""
    import aiohttp

    while error.__cause__:
        error = error.__cause__
    return isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionError))


def _make_client(model: Model) -> None:
    """One for each provider and key, for the life of the process: making one takes a third of a second."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    place = (model.base_url, model.api_key, model.demo)
    with _making:
        if place not in _clients:
            _clients[place] = AsyncOpenAI(
                base_url=model.base_url or OPENAI,
                api_key=model.api_key or "none",  # servers that need no key still get one, as the client insists on it
                max_retries=0,  # ours are announced
                http_client=_demo_transport() if model.demo else DefaultAioHttpClient(),
            )


def _demo_transport() -> Any:
    import httpx2

    from utils import demo_model

    return httpx2.AsyncClient(transport=httpx2.MockTransport(demo_model.respond))


def _failures() -> tuple[type[Exception], ...]:
    """What the client and its transport raise."""
    import aiohttp
    import httpx2
    import openai

    return openai.OpenAIError, httpx2.HTTPError, aiohttp.ClientError, OSError


def _explained(error: Exception, model: Model, timeouts: Timeouts, begun: bool) -> ModelError:
    from openai import APIStatusError

    where = urlsplit(model.base_url or OPENAI).netloc.rpartition("@")[2] or model.base_url
    if isinstance(error, APIStatusError):
        body = error.body or error.response.text
        return error_from_status(error.status_code, body, error.response.headers, model.api_key)
    if isinstance(error, TimeoutError) and begun:
        said = f"The model stopped in the middle of its answer: nothing came for {timeouts.stall:g} seconds."
        return ModelError(f"{said} What came before is kept. Press Retry to ask again.", "stall")
    if isinstance(error, TimeoutError):
        said = f"The model at {where} sent nothing for {timeouts.first_token:g} seconds."
        return ModelError(f"{said} It may be loading or overloaded. Press Retry in a while.", "timeout")
    cause = " ".join(without_secrets(str(error.__cause__ or error), model.api_key).split())[:200]
    if begun:
        said = f"The connection to {where} broke off in the middle of the answer ({cause})."
        return ModelError(f"{said} What came before is kept. Press Retry to ask again.", "connection", passing=True)
    said = f"No answer from {where} ({cause})."
    return ModelError(f"{said} Check that it runs and that OPENAI_BASE_URL is right.", "connection", passing=True)
