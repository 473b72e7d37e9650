"""A whole storage plugin: repositories in one SQLite file, as ``sqlite:///path/to/file``."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holdstill.errors import ObjectMissing, TargetError, TargetFull
from holdstill.model.buffers import Buffer
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.target import Durability, Listed, Target, TargetProperties, check_key, check_prefix

API = 0


@hookimpl
def provider_info() -> ProviderInfo:
    return ProviderInfo("example-target", "repositories in one SQLite file", schemes=("sqlite",))


@hookimpl
def storage_target(url: str) -> Target:
    return SqliteTarget(url)


class SqliteTarget(Target):
    """One row for each object. A transaction makes a put atomic; the primary key makes a create exclusive."""

    properties = TargetProperties(Durability.POWER, put_if_absent=True, fresh_listings=True, connections=1)

    def __init__(self, url: str) -> None:
        self.url = url
        self.local_path = self._path = str(Path(url.removeprefix("sqlite://")).absolute())
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def prepare(self) -> None:
        with contextlib.closing(sqlite3.connect(self._path)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, whole BLOB NOT NULL)")

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        self._ask("INSERT OR REPLACE INTO objects VALUES (?, ?)", check_key(key), b"".join(parts))

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        return self._ask("INSERT OR IGNORE INTO objects VALUES (?, ?)", check_key(key), b"".join(parts))[1] == 1

    def get(self, key: str) -> bytes:
        return bytes(self._row("whole", key)[0])

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        size = self.size(key)
        if offset < 0 or length < 0 or offset + length > size:
            raise TargetError(f"the object ends at {size}, before {offset + length}", subject=f"{self.url}: {key}")
        return bytes(self._row(f"substr(whole, {int(offset) + 1}, {int(length)})", key)[0])

    def size(self, key: str) -> int:
        return int(self._row("length(whole)", key)[0])

    def delete(self, key: str) -> None:
        self._ask("DELETE FROM objects WHERE key = ?", check_key(key))

    def list(self, prefix: str) -> Iterator[Listed]:
        check_prefix(prefix)
        rows, _ = self._ask("SELECT key, length(whole) FROM objects WHERE substr(key, 1, ?) = ?", len(prefix), prefix)
        return (Listed(key, size) for key, size in rows)

    def _row(self, what: str, key: str) -> Any:
        rows, _ = self._ask(f"SELECT {what} FROM objects WHERE key = ?", check_key(key))
        if not rows:
            raise ObjectMissing("there is no such object", subject=f"{self.url}: {key}")
        return rows[0]

    def _ask(self, statement: str, *values: object) -> tuple[Sequence[Any], int]:
        """Run one statement, a transaction by itself. SQLite's errors become the engine's here, and only here."""
        with self._lock:
            try:
                if self._database is None:
                    there = f"{Path(self._path).as_uri()}?mode=rw"
                    self._database = sqlite3.connect(there, 60, isolation_level=None, check_same_thread=False, uri=True)
                    self._database.execute("PRAGMA synchronous = EXTRA")
                answer = self._database.execute(statement, values)
                return answer.fetchall(), answer.rowcount
            except sqlite3.Error as error:
                kind = TargetFull if error.sqlite_errorcode == sqlite3.SQLITE_FULL else TargetError
                busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                raise kind(
                    str(error), subject=self.url, next_step="check the file and its disk", retryable=busy
                ) from None
