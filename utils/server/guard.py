"""At every door: whose host name was asked for, and whose page is asking.

Loopback is not safe by itself. A page on the web can make a browser send requests here: by a name that resolves to
127.0.0.1 (the Host check refuses it), by WebSocket or by a form (the Origin check refuses them).
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.server.settings import LOOPBACK, Settings

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


MULTIPART_BYTES = 64 * 1024
"""What an upload may have around the file itself."""


class Guard:
    """ASGI middleware: foreign hosts and origins get 403, larger bodies than an upload's 413; sets security headers.

    WebSockets go to `sockets`, everything else to `app`.
    """

    def __init__(self, app: ASGIApp, settings: Settings, sockets: ASGIApp) -> None:
        self._app, self._sockets = app, sockets
        self._hosts = {*LOOPBACK, settings.host, *settings.allowed_hosts}
        self._origins = set(settings.allowed_origins)
        self._most_bytes = settings.max_upload_bytes + MULTIPART_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if problem := self._problem(Headers(scope=scope)):
            body = {"code": "forbidden", "message": problem}
            return await JSONResponse(body, status_code=403)(scope, receive, send)
        if scope["type"] == "websocket":
            return await self._sockets(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, self._limited(receive), send_with_headers)

    def _limited(self, receive: Receive) -> Receive:
        """A body is cut off as soon as it is too large for every door."""
        size = 0

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most_bytes:
                raise HTTPException(413, f"At most {self._most_bytes} bytes are taken here")
            return message

        return receive_limited

    def _problem(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if _name(f"//{host}") not in self._hosts:
            return f"This server does not answer to the host name {host!r}. Name it in ALLOWED_HOSTS if it should."
        if origin is None or origin in self._origins or origin.partition("://")[2] == host:
            return None
        return f"Pages from {origin} may not use this server. Name it in ALLOWED_ORIGINS if they should."


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
