"""Files of a conversation: upload into its workspace, download from it."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, UploadFile
from fastapi.responses import Response, StreamingResponse
from typing_extensions import TypedDict

from utils.server import workspace
from utils.server.problems import ConversationId, find, problems, refuse
from utils.server.runner import Runner
from utils.server.settings import Settings

CHUNK = 256 * 1024
INLINE_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in ("application/octet-stream", *INLINE_IMAGES.values())}}
}


class FileEntry(TypedDict):
    """`size` in bytes."""

    name: str
    size: int
    url: str


def create_router(runner: Runner, settings: Settings) -> APIRouter:
    """The routes /api/conversations/{id}/files."""
    router = APIRouter(prefix="/api/conversations/{conversation_id}/files")

    @router.post("", status_code=201, responses=problems(400, 404, 413, 422))
    async def upload_file(conversation_id: ConversationId, file: UploadFile) -> FileEntry:
        await find(runner, conversation_id)
        try:
            name, size = await workspace.save_upload(
                conversation_id, file.filename or "file", _chunks(file), settings.max_upload_bytes
            )
        except workspace.BadFileName as error:
            raise refuse(422, "bad_command", str(error)) from error
        except ValueError as error:
            raise refuse(413, "too_large", str(error)) from error
        return _entry(conversation_id, name, size)

    @router.get("/{name:path}", response_class=StreamingResponse, responses=problems(404, 422) | DOWNLOAD)
    async def download_file(conversation_id: ConversationId, name: str) -> Response:
        await find(runner, conversation_id)
        try:
            return _download(workspace.open_file(conversation_id, name), name)
        except workspace.BadFileName as error:
            raise refuse(422, "bad_command", str(error)) from error
        except FileNotFoundError as error:
            raise refuse(404, "not_found", f"There is no file {name} here.") from error

    return router


def listed(conversation_id: str) -> list[FileEntry]:
    """The files of a conversation, by name."""
    return [_entry(conversation_id, name, size) for name, size in workspace.files(conversation_id)]


def _entry(conversation_id: str, name: str, size: int) -> FileEntry:
    return FileEntry(name=name, size=size, url=f"/api/conversations/{conversation_id}/files/{quote(name)}")


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK):
        yield chunk


def _download(descriptor: int, name: str) -> Response:
    """An attachment; only what is an image by its first bytes shows inline, in a sandbox of its own."""
    start = os.pread(descriptor, 16, 0)
    kind = next((kind for magic, kind in INLINE_IMAGES.items() if start.startswith(magic)), "application/octet-stream")
    placing = "inline" if kind.startswith("image/") else "attachment"
    last = name.rsplit("/", 1)[-1]
    plain = re.sub(r"[^\w.-]", "_", last, flags=re.ASCII)
    headers = {
        "Content-Disposition": f"{placing}; filename=\"{plain}\"; filename*=UTF-8''{quote(last)}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Length": str(os.fstat(descriptor).st_size),
    }
    return StreamingResponse(_closing(descriptor), media_type=kind, headers=headers)


def _closing(descriptor: int) -> Iterator[bytes]:
    with open(descriptor, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
