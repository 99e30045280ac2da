"""The server as a process of its own, which a test can kill."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]


def unused_port() -> int:
    """A port to listen on soon: below those that systems give to outgoing connections, so that it stays unused."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class ServerProcess:
    """`python main.py` as a person starts it, in `root`; `url` answers once `start` has returned."""

    def __init__(self, data_dir: Path, root: Path = ROOT, **environment: str) -> None:
        self._root = root
        self.port = unused_port()
        self.data_dir = data_dir
        self.url, self.ws_url = f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        self._environment = kept | {"DATA_DIR": str(data_dir), "COMMANDS_PER_MINUTE": "10000"} | environment
        self._process: subprocess.Popen[str] | None = None
        self.errors = ""

    def start(self) -> "ServerProcess":
        command = [sys.executable, "main.py", "--no-open", "--port", str(self.port)]
        self._process = subprocess.Popen(
            command, cwd=self._root, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(self._process.communicate()[1])
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def end(self, with_signal: int = signal.SIGTERM) -> int:
        """Send the signal and wait; returns the exit status. What it wrote to stderr is in `errors`."""
        assert self._process
        self._process.send_signal(with_signal)
        self.errors += self._process.communicate(timeout=20)[1]
        return self._process.returncode

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None
