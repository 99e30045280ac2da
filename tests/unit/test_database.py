"""The file itself: tables that migrate forward, and files that are refused."""

import sqlite3
from pathlib import Path

import pytest
from store_steps import say

from utils.server import database
from utils.server.database import Database
from utils.server.settings import BadSetting
from utils.server.store import ConversationStore


def test_a_new_file_gets_every_table_and_the_version(tmp_path: Path) -> None:
    Database(tmp_path / "new").close()
    with sqlite3.connect(tmp_path / "new") as c:
        assert c.execute("PRAGMA user_version").fetchone()[0] == len(database.MIGRATIONS)
        assert c.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    c.close()


async def test_an_older_file_migrates_forward_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Database(tmp_path / "old")
    await say(ConversationStore(older, "chat"), "one")
    older.close()
    added = ["ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';", "CREATE TABLE extra (x);"]
    monkeypatch.setattr(database, "MIGRATIONS", database.MIGRATIONS + added)
    newer = Database(tmp_path / "old")
    rows = await newer.transact(lambda c: c.execute("SELECT id, colour FROM conversations").fetchall())
    assert [tuple(row) for row in rows] == [("chat", "blue")]
    newer.close()
    Database(tmp_path / "old").close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(tmp_path / "old").close()
    usual = database.MIGRATIONS
    monkeypatch.setattr(database, "MIGRATIONS", [*usual, "CREATE TABLE half (x); CREATE TABLE half (x);"])
    with pytest.raises(BadSetting, match="half"):
        Database(tmp_path / "old")
    monkeypatch.setattr(database, "MIGRATIONS", usual)
    with sqlite3.connect(tmp_path / "old") as c:
        assert not c.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    c.close()
    Database(tmp_path / "old").close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "newer") as c:
        c.execute("PRAGMA user_version = 99")
    c.close()
    with pytest.raises(BadSetting, match=r"newer version.*another DATA_DIR"):
        Database(tmp_path / "newer")
