"""Each conversation's folder: where uploads go, where its code runs, and what may be downloaded from it."""

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

_root = Path("data") / "workspaces"
MOST_FILES = 1000


class BadFileName(ValueError):
    """A name that is not a plain path beneath the workspace."""


def configure(data_dir: Path) -> None:
    """Where the workspaces are; called once at start."""
    global _root
    _root = data_dir.resolve() / "workspaces"


def folder(conversation_id: str) -> Path:
    """The conversation's folder, made if it is missing. The id's form (`[A-Za-z0-9_-]+`) was checked at the door."""
    path = _root / conversation_id
    path.mkdir(parents=True, exist_ok=True)
    return path


def files(conversation_id: str) -> list[tuple[str, int]]:
    """(name, bytes) of every regular file beneath the folder, links left out, hidden ones too, sorted by name."""
    root, found = _root / conversation_id, []
    for place, folders, names in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and not name.startswith("."):
                found.append((str(path.relative_to(root)), status.st_size))
            if len(found) >= MOST_FILES:
                return sorted(found)
    return sorted(found)


async def list_files(conversation_id: str) -> list[tuple[str, int]]:
    """What `files` finds, off the event loop; at once where there is no folder yet, which is most of the time."""
    return await asyncio.to_thread(files, conversation_id) if (_root / conversation_id).is_dir() else []


def open_file(conversation_id: str, name: str) -> int:
    """A descriptor to read the named file; no part of its path may be a link.

    Raises BadFileName, and FileNotFoundError when there is no such regular file.
    """
    parts = _parts(name)
    try:
        directory = os.open(_root / conversation_id, os.O_RDONLY | os.O_DIRECTORY)
        for part in parts[:-1]:
            directory = _step(directory, part, os.O_DIRECTORY)
        descriptor = _step(directory, parts[-1], os.O_NONBLOCK)
    except (NotADirectoryError, OSError) as error:
        raise FileNotFoundError(name) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(name)
    return descriptor


def _step(directory: int, part: str, flags: int) -> int:
    try:
        return os.open(part, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=directory)
    finally:
        os.close(directory)


async def save_upload(conversation_id: str, name: str, chunks: AsyncIterator[bytes], most: int) -> tuple[str, int]:
    """Store an upload under its own name (a number is added if it is taken): (name, bytes).

    Raises BadFileName, and ValueError when there are more than `most` bytes; then nothing is left behind.
    """
    plain = _parts(Path(name.replace("\\", "/")).name)[-1][:200]
    root = folder(conversation_id)
    path, size = _create(root, plain), 0
    try:
        with path.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise ValueError(f"A file may have {most // 1024 // 1024} MiB.")
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path.name, size


def _create(root: Path, name: str) -> Path:
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, MOST_FILES):
        path = root / (name if number == 1 else f"{stem}-{number}{suffix}")
        try:
            path.touch(mode=0o644, exist_ok=False)
            return path
        except FileExistsError:
            continue
    raise BadFileName(f"There are too many files named like {name}.")


def _parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    bad = path.is_absolute() or not path.parts or any(part in ("..", ".") for part in path.parts)
    if bad or "\0" in name or "\\" in name or any(len(part.encode()) > 250 for part in path.parts):
        raise BadFileName(f"{name!r} is not a file name that can be used here.")
    return path.parts


def remove(conversation_id: str) -> None:
    """Delete the conversation's folder with all it holds."""
    shutil.rmtree(_root / conversation_id, ignore_errors=True)


if __name__ == "__main__":
    print(files("trial"))
