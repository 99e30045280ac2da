"""What a start needs around the app: a free port, the lock on DATA_DIR, logging, and the page in a browser."""

import contextlib
import fcntl
import logging
import socket
import time
import urllib.request
import webbrowser
from pathlib import Path
from typing import IO

from utils.server.settings import BadSetting


def log_to_stderr(level: str) -> None:
    """Our own loggers at `level`; other people's stay at WARNING, as they would print messages' texts at DEBUG."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for ours in ("chat", "utils"):
        logging.getLogger(ours).setLevel(level.upper())
    # uvicorn takes every WebSocket that is refused with a status (404, 403) for one that was forgotten.
    refused = "ASGI callable returned without completing handshake."
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.getMessage() != refused)


def free_port(host: str, port: int) -> int:
    """The first port from `port` on that nobody listens on. Raises BadSetting when there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, 65536):
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, candidate))
            return candidate
    raise BadSetting(f"Every port from {port} on is in use. Try a lower one with --port.")


def lock(data_dir: Path) -> IO[str]:
    """One process per DATA_DIR: the lock lasts as long as the returned file is open. Raises BadSetting."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / "lock").open("w")
    except OSError as error:
        raise BadSetting(
            f"DATA_DIR={data_dir} cannot be used: {error.strerror}. Choose a folder to write in."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise BadSetting(f"DATA_DIR={data_dir} is in use by another server. Stop it, or choose another.") from error
    return file


def open_page(url: str) -> None:
    """Open the browser once the server answers."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/healthz", timeout=1)
            webbrowser.open(url)
            return
        time.sleep(0.1)
