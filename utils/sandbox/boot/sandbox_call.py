"""What one call says, each part of it bounded: text, pictures that become files, and errors told the short way.

Imported inside the sandbox under this name alone, which no file of a person is likely to have.
"""

import base64
import os
import secrets
import traceback
from pathlib import Path
from typing import Any

from ipykernel.compiler import get_tmp_directory

WORKSPACE = str(Path.cwd())
LONGEST_ERROR = 8_000


class Call:
    """What one call has said so far."""

    def __init__(self, output_bytes: int, images: int) -> None:
        self.text_left, self.images_left = output_bytes, images
        self.cut = False
        self.value = self.error = ""
        self.images: list[str] = []

    def take(self, text: str) -> str:
        """As much of `text` as may still be said."""
        kept = text[: self.text_left]
        self.cut = self.cut or len(kept) < len(text)
        kept = kept.encode(errors="replace").decode()
        self.text_left -= len(kept.encode())
        return kept

    def show(self, data: dict[str, Any]) -> str:
        """A picture becomes a file, all else the text that stands for it."""
        if "image/png" not in data:
            return str(data.get("text/plain", ""))
        if self.images_left > 0:
            self.images_left -= 1
            self.images.append(save(data["image/png"]))
        return ""


def save(png: bytes | str) -> str:
    """Write a figure, as bytes or in base64, into the workspace; its name."""
    name = f"figure-{secrets.token_hex(4)}.png"
    with Path(WORKSPACE, name).open("xb") as file:
        file.write(png if isinstance(png, bytes) else base64.b64decode(png))
    return name


def explain(error: BaseException) -> str:
    """The traceback without the frames of libraries: what a person can change is their own code."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    keep_own_frames(told)
    return shorten("".join(told.format()).strip(), LONGEST_ERROR)


def keep_own_frames(told: traceback.TracebackException) -> None:
    own = [frame for frame in told.stack if is_own(frame.filename)]
    for frame in own:
        frame.filename = own_name(frame.filename)
    told.stack = traceback.StackSummary.from_list(own if len(own) <= 20 else own[:5] + own[-15:])
    if isinstance(getattr(told, "filename", None), str):
        told.filename = own_name(told.filename)
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            keep_own_frames(other)


def is_own(filename: str) -> bool:
    return filename.startswith((get_tmp_directory(), WORKSPACE + os.sep))


def own_name(filename: str) -> str:
    return "your code" if filename.startswith(get_tmp_directory()) else os.path.relpath(filename, WORKSPACE)


def shorten(text: str, most: int) -> str:
    """The beginning and the end of a long text: in an error both matter."""
    text = text.encode(errors="replace").decode()
    return (
        text
        if len(text) <= most
        else f"{text[: most // 2]}\n[… {len(text) - most} characters left out …]\n{text[-(most // 2) :]}"
    )
