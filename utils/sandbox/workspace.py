"""A conversation's files, written by code nobody trusts: never follow a link, believe no name and no content."""

import contextlib
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

IMAGE_BYTES = 10_000_000
DEPTH = 30
"""Folders within folders beyond this are not looked into; the watch ends code that makes them."""
_LISTED = 50


@dataclass(frozen=True)
class Entry:
    """A file, folder or link: its path from the workspace, bytes, bytes on disk, and time of its last change in ns."""

    name: str
    size: int
    space: int
    changed: int
    is_file: bool


def walk(directory: Path, most: int, on_error: Callable[[OSError], None] | None = None) -> Iterator[Entry]:
    """What is beneath `directory`, links not followed; at most `most` entries, DEPTH folders deep."""
    seen = 0
    for folder, folders, names, descriptor in os.fwalk(directory, onerror=on_error, follow_symlinks=False):
        place = Path(folder).relative_to(directory)
        for name in (*folders, *names):
            if seen >= most:
                return
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                seen += 1
                # A sparse file takes less than its length, an empty one still takes an inode.
                space = max(status.st_blocks * 512, 4096)
                yield Entry(str(place / name), status.st_size, space, status.st_mtime_ns, stat.S_ISREG(status.st_mode))
        if len(place.parts) >= DEPTH:
            folders.clear()


def snapshot(workspace: Path, most: int) -> dict[str, Entry]:
    """Every regular file by name."""
    return {entry.name: entry for entry in walk(workspace, most) if entry.is_file}


def written(before: dict[str, Entry], after: dict[str, Entry]) -> list[Entry]:
    """Files that are new or changed, by name; cut at 50."""
    return sorted((file for name, file in after.items() if before.get(name) != file), key=lambda file: file.name)[
        :_LISTED
    ]


def own(directory: Path, uid: int) -> None:
    """Make `uid` the owner of everything beneath `directory`, also while code there swaps folders for links."""
    for folder, folders, names, descriptor in os.fwalk(directory, follow_symlinks=False):
        os.fchown(descriptor, uid, uid)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.chown(name, uid, uid, dir_fd=descriptor, follow_symlinks=False)
        if len(Path(folder).relative_to(directory).parts) >= DEPTH:
            folders.clear()


def is_png(workspace: Path, name: str) -> bool:
    """Whether `name` is a plain file of the workspace's top folder and holds one intact PNG of at most 10 MB."""
    if not re.fullmatch(r"[\w][\w .()-]{0,200}\.png", name, re.ASCII):
        return False
    try:
        with os.fdopen(os.open(workspace / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return False
            return verified_png(file.read(IMAGE_BYTES + 1))
    except OSError:
        return False


def verified_png(data: bytes) -> bool:
    """Whether `data` is one intact PNG of at most 10 MB and of a size that a browser can draw."""
    from PIL import Image

    if len(data) > IMAGE_BYTES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=["PNG"]) as image:
                image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return False
    return True


if __name__ == "__main__":
    for found in walk(Path(), 20):
        print(found.size, found.name)
