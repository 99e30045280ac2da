"""Starting and ending `python main.py` as a person does it."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ROOT, ServerProcess, unused_port

START_SECONDS = 15
"""Under two by design; the machine may be busy."""


def refused(tmp_path: Path, *arguments: str, **environment: str) -> str:
    """What a start that must not succeed says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    process = subprocess.run(
        [sys.executable, "main.py", "--no-open", *arguments],
        cwd=ROOT,
        env=kept | {"DATA_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    return process.stderr


def test_it_serves_the_page_soon_after_the_start(server_process: Callable[..., ServerProcess]) -> None:
    began = time.monotonic()
    server = server_process().start()
    with urllib.request.urlopen(server.url) as page:
        assert b"<html" in page.read()
    assert time.monotonic() - began < START_SECONDS


def test_a_used_port_is_named_with_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(tmp_path, "--port", str(port))
    assert f"Port {port} is in use" in said
    suggested = int(re.findall(r"--port (\d+)", said)[0])
    assert suggested > port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", suggested))


def test_a_second_server_on_the_same_data_is_refused(
    server_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = server_process().start()
    said = refused(tmp_path, "--port", str(unused_port()))
    assert f"DATA_DIR={tmp_path} is in use by another server" in said
    assert server.running


def test_after_a_kill_the_data_can_be_used_at_once(server_process: Callable[..., ServerProcess]) -> None:
    server = server_process().start()
    server.end(signal.SIGKILL)
    server.start()
    assert server.running


def test_beyond_loopback_it_does_not_start_without_sign_in(tmp_path: Path) -> None:
    said = refused(tmp_path, "--host", "0.0.0.0")
    assert "HOST=0.0.0.0 cannot be used" in said
    assert "AUTH=none" in said


def test_a_wrong_setting_is_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    sentence = "Cannot start: IDLE_MINUTES=soon cannot be used: it must be a number."
    assert sentence in refused(tmp_path, IDLE_MINUTES="soon")


def test_data_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "chat.sqlite3") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert "newer version" in refused(tmp_path)


def test_data_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat.sqlite3").write_text("This is a letter to my grandmother. " * 100)
    assert "chat.sqlite3" in refused(tmp_path)


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "DATA_DIR=" in refused(tmp_path / "file" / "data")


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(server_process: Callable[..., ServerProcess], with_signal: signal.Signals) -> None:
    server = server_process().start()
    began = time.monotonic()
    status = server.end(with_signal)
    assert time.monotonic() - began < START_SECONDS
    assert status in (0, -with_signal)
    assert "Traceback" not in server.errors
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port))
