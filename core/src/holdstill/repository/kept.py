"""Small objects of a repository as this host has read them before: sealed as they were, so that they are as hard to
take for something else as in the repository itself.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

#: so many are written together
_TOGETHER: Final = 1000
_TABLE: Final = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID"


class KeptObjects:
    """A table of keys and bytes. A cache: where it cannot be read or written it is as if it were empty. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._waiting: dict[str, bytes] = {}
        self._table: sqlite3.Connection | None = None
        self._usable = True

    def get(self, key: str) -> bytes | None:
        """What was put there last, if it is known."""
        with self._lock:
            if key in self._waiting:
                return self._waiting[key]
            found = self._asked("SELECT data FROM objects WHERE key = ?", [(key,)])
            return found[0][0] if found and isinstance(found[0][0], bytes) else None

    def put(self, key: str, data: bytes) -> None:
        """Remember it, in place of what was known before."""
        with self._lock:
            self._waiting[key] = data
            if len(self._waiting) >= _TOGETHER:
                self._write()

    def close(self) -> None:
        """What was put is there for the next run. More may be asked for afterwards."""
        with self._lock:
            if self._waiting:
                self._write()
            if self._table is not None:
                self._table.close()
            self._table = None

    def _write(self) -> None:
        self._asked("INSERT OR REPLACE INTO objects VALUES (?, ?)", list(self._waiting.items()))
        self._waiting.clear()

    def _asked(self, statement: str, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows that it finds. Several values are one transaction."""
        if not self._usable:
            return []
        try:
            if self._table is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._table = sqlite3.connect(self._path, timeout=1, isolation_level=None, check_same_thread=False)
                weakref.finalize(self, self._table.close)
                self._table.execute("PRAGMA synchronous = OFF")
                self._table.execute(_TABLE)
            if len(values) == 1:
                return self._table.execute(statement, values[0]).fetchall()
            self._table.execute("BEGIN IMMEDIATE")
            self._table.executemany(statement, values)
            self._table.execute("COMMIT")
        except sqlite3.OperationalError:
            self._usable = False  # no room, no right, or busy: not for this run
        except (sqlite3.Error, OSError):
            self._usable = False
            with suppress(OSError):
                self._path.unlink()
        return []
