"""The file itself: transactions, tables that migrate forward, and files that are refused."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "store")
    yield opened
    opened.close()


async def add(store: Database, number: int) -> int:
    def work(c: sqlite3.Connection) -> int:
        c.execute("CREATE TABLE IF NOT EXISTS numbers (n PRIMARY KEY)")
        c.execute("INSERT INTO numbers VALUES (?)", (number,))
        if number % 3 == 2:
            raise ValueError(number)
        return number

    return await store.transact(work)


async def numbers(store: Database) -> list[int]:
    rows = await store.transact(lambda c: c.execute("SELECT n FROM numbers ORDER BY rowid").fetchall())
    return [row["n"] for row in rows]


async def test_each_of_many_at_once_succeeds_or_fails_by_itself_and_in_order(store: Database) -> None:
    ended: list[int] = []
    tasks = [asyncio.create_task(add(store, number)) for number in range(9)]
    for number, task in enumerate(tasks):
        task.add_done_callback(lambda _, number=number: ended.append(number))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == [str(number) for number in range(9)]
    assert [isinstance(outcome, ValueError) for outcome in outcomes] == [number % 3 == 2 for number in range(9)]
    assert ended == list(range(9))
    assert await numbers(store) == [0, 1, 3, 4, 6, 7]


async def test_a_full_disk_fails_whoever_it_stops_and_nobody_is_told_otherwise(store: Database) -> None:
    def fill(c: sqlite3.Connection, size: int) -> None:
        c.execute("INSERT INTO texts VALUES (zeroblob(?))", (size,))

    await store.transact(lambda c: c.execute("CREATE TABLE texts (t)"))
    await store.transact(lambda c: c.execute("PRAGMA max_page_count = 40"))
    sizes = [1000, 2000, 1_000_000, 3000]
    asked = [store.transact(lambda c, size=size: fill(c, size)) for size in sizes]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    rows = await store.transact(lambda c: c.execute("SELECT length(t) FROM texts").fetchall())
    assert isinstance(outcomes[2], sqlite3.OperationalError)
    assert [row[0] for row in rows] == [size for size, said in zip(sizes, outcomes, strict=True) if said is None]


async def test_who_no_longer_waits_is_left_out_if_it_has_not_begun(store: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def busy(c: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(30)

    first = asyncio.create_task(store.transact(busy))
    await asyncio.to_thread(begun.wait, 30)
    later = [asyncio.create_task(add(store, number)) for number in (0, 1, 3)]
    await asyncio.sleep(0)
    later[1].cancel()
    go_on.set()
    await first
    await asyncio.wait(later)
    assert await numbers(store) == [0, 3]


async def test_closing_waits_for_what_was_asked_before(tmp_path: Path) -> None:
    store = Database(tmp_path / "store")
    tasks = [asyncio.create_task(add(store, number)) for number in (0, 1, 3)]
    await asyncio.sleep(0)
    store.close()
    with sqlite3.connect(tmp_path / "store") as c:
        assert len(c.execute("SELECT n FROM numbers").fetchall()) == 3
    c.close()
    for task in tasks:
        task.cancel()


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
