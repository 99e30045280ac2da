"""One SQLite file, one thread that owns it, one transaction after another; tables that migrate forward at start."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from utils.server.settings import BadSetting

T = TypeVar("T")
Asked = tuple[Callable[[sqlite3.Connection], Any], bool, "asyncio.Future[Any]"]
Outcome = tuple[Any, BaseException | None]
StoreError = sqlite3.Error
"""What `transact` raises when the store itself fails: the disk is full, the file locked or read-only."""

MIGRATIONS = [
    """
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, agent TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'idle', run_id TEXT, last_error TEXT,
        input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL
    );
    CREATE INDEX conversations_by_time ON conversations (updated_at DESC, id);
    CREATE INDEX conversations_at_work ON conversations (status) WHERE status <> 'idle';

    CREATE TABLE messages (
        conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
        position INTEGER NOT NULL, id TEXT NOT NULL, role TEXT NOT NULL,
        text TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (conversation_id, id)
    );
    CREATE UNIQUE INDEX messages_in_order ON messages (conversation_id, position);

    -- A run is accepted ('waiting'), may be 'held' or 'removed', then is 'running' and ends in its outcome.
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
        id TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, urgent INTEGER NOT NULL DEFAULT 0,
        message_id TEXT, content TEXT, options TEXT, started_at INTEGER, first_token_ms INTEGER, duration_ms INTEGER,
        steps TEXT, usage TEXT, error TEXT
    );
    CREATE UNIQUE INDEX runs_by_id ON runs (conversation_id, id);
    CREATE UNIQUE INDEX runs_by_message ON runs (conversation_id, message_id) WHERE kind = 'message';
    CREATE INDEX runs_to_do ON runs (conversation_id, urgent DESC, seq) WHERE status IN ('waiting', 'held', 'running');

    CREATE TABLE tool_calls (
        conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
        id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, arguments TEXT NOT NULL,
        status TEXT NOT NULL, interrupt TEXT,
        edited_arguments TEXT, reason TEXT, decision TEXT, decided_at INTEGER,
        PRIMARY KEY (conversation_id, id)
    );
    CREATE INDEX tool_calls_open ON tool_calls (conversation_id, position) WHERE status <> 'done';

    CREATE TABLE commands (
        conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
        command_id TEXT NOT NULL, answer TEXT NOT NULL,
        PRIMARY KEY (conversation_id, command_id)
    );
    """,
]


class Database:
    """Opens (and migrates) `path`. Raises BadSetting when it is no database, or of a newer version."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, "store")
        self._connection = self._thread.submit(_open, path).result()
        self._asked: list[Asked] = []
        self._busy = False

    async def transact(self, work: Callable[[sqlite3.Connection], T], flush: bool = True) -> T:
        """Run `work(connection)` as one transaction: all of it is on disk when this returns, or none of it.

        Without `flush` it outlives the process at once, but a power failure only after the next one that flushes.
        First asked, first done, and first told.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.append((work, flush, answer))
        if not self._busy:
            self._hand_over()
        return await answer

    def _hand_over(self) -> None:
        """All that waits goes to the thread together: the way there and back costs more than most transactions."""
        asked, self._asked = [one for one in self._asked if not one[2].cancelled()], []
        self._busy = bool(asked)
        if asked:
            running = asyncio.get_running_loop().run_in_executor(self._thread, self._run, asked)
            running.add_done_callback(lambda ran: self._tell(asked, ran))

    def _tell(self, asked: list[Asked], ran: "asyncio.Future[list[Outcome]]") -> None:
        outcomes = [(None, ran.exception())] * len(asked) if ran.exception() else ran.result()
        for (_, _, answer), (result, error) in zip(asked, outcomes, strict=True):
            if answer.cancelled():
                continue
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(result)
        self._hand_over()

    def _run(self, asked: list[Asked]) -> list[Outcome]:
        """One transaction of the file for all: each stands or falls by itself, and one flush serves everyone."""
        flush = any(flush for _, flush, _ in asked)
        self._connection.execute(f"PRAGMA synchronous={'FULL' if flush else 'NORMAL'}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._outcome(work) for work, _, _ in asked]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return outcomes

    def _outcome(self, work: Callable[[sqlite3.Connection], Any]) -> Outcome:
        self._connection.execute("SAVEPOINT one")
        try:
            result, error = work(self._connection), None
        except Exception as failed:
            if not self._connection.in_transaction:  # a full disk, say: SQLite has given up everybody's work
                raise
            result, error = None, failed
            self._connection.execute("ROLLBACK TO one")
        self._connection.execute("RELEASE one")
        return result, error

    def close(self) -> None:
        """What was asked before is done first; nobody is told any more."""
        if self._asked:
            asked, self._asked = self._asked, []
            self._thread.submit(self._run, asked).result()
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _migrated(path)
    except sqlite3.Error as error:
        raise BadSetting(f"{path} cannot be used ({error}). Choose another DATA_DIR, or restore it.") from error


def _migrated(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise BadSetting(f"{path} was written by a newer version of the server. Update it, or choose another DATA_DIR.")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script} PRAGMA user_version={number}; COMMIT;")
    return connection


if __name__ == "__main__":

    async def trial() -> None:
        database = Database(Path(":memory:"))
        print(await database.transact(lambda c: [row["name"] for row in c.execute("SELECT name FROM sqlite_master")]))
        database.close()

    asyncio.run(trial())
