"""One file a run: what it holds, a line each, on stable storage before it is held.

The file is locked for as long as its run lives, so that ``recover`` can tell a dead run from a live one without a
clock or a process id. Each line carries a checksum; a torn last line is what a crash leaves, and is as if it had
never been written.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import attrs

from holdstill.held.state import kept_in
from holdstill.spi.holds import Hold, Holds

_SUFFIX: Final = ".run"
#: a journal longer than this is not ours
_LARGEST: Final = 16 << 20


@attrs.frozen
class Held:
    """One open line of some run's journal."""

    run: str
    entry: int
    kind: str
    version: int
    data: dict[str, str]
    by_hand: str


class Journal(Holds):
    """The journal of one run. Made by ``begin`` for a run of our own, by ``orphans`` for what dead runs left."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Of an open and locked file."""
        self.run = path.stem
        self._path = path
        self._descriptor = descriptor
        self._open = _replay(self.run, descriptor)
        self._next = max(self._open, default=0) + 1

    @classmethod
    def begin(cls, folder: Path) -> Journal:
        """A new, empty journal in ``folder``, locked."""
        with kept_in(folder, "no journal can be begun"):
            while True:
                path = folder / f"{secrets.token_hex(8)}{_SUFFIX}"
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
                with ExitStack() as unless_begun:
                    unless_begun.callback(os.close, descriptor)
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                    if path.exists():
                        _sync_folder(folder)
                        journal = cls(path, descriptor)
                        unless_begun.pop_all()
                        return journal
                # before it was locked somebody took it for a dead run's, and cleared it away

    @classmethod
    def orphans(cls, folder: Path) -> Iterator[Journal]:
        """The journals of runs that are dead, one at a time, each locked until it is closed."""
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # its run ended while we looked
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)  # alive: none of our business
                continue
            yield cls(path, descriptor)

    @property
    def held(self) -> tuple[Held, ...]:
        """What is still open, the latest first: the order in which it is to be undone."""
        return tuple(self._open[entry] for entry in sorted(self._open, reverse=True))

    def hold(self, kind: str, data: Mapping[str, str], *, by_hand: str, version: int = 1) -> Hold:
        """See ``Holds``."""
        entry, self._next = self._next, self._next + 1
        self._append({"hold": entry, "kind": kind, "version": version, "data": dict(data), "by_hand": by_hand})
        self._open[entry] = Held(self.run, entry, kind, version, dict(data), by_hand)
        return _Line(self, entry)

    def update(self, entry: int, narrower: Mapping[str, str]) -> None:
        """Add to the data of an open line; harmless for one that was crossed out."""
        if entry in self._open:
            self._append({"update": entry, "data": dict(narrower)})
            self._open[entry].data.update(narrower)

    def drop(self, entry: int) -> None:
        """Cross a line out. Harmless to repeat."""
        if entry in self._open:
            self._append({"drop": entry})
            del self._open[entry]

    def close(self) -> None:
        """The run is over. A journal with nothing open goes; one with something open stays for ``recover``."""
        if self._descriptor < 0:
            return
        if not self._open:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _append(self, record: dict[str, object]) -> None:
        text = json.dumps(record, sort_keys=True, ensure_ascii=True).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        with kept_in(self._path, "the journal cannot be written; nothing more is acquired"):
            if os.write(self._descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)


@attrs.frozen
class _Line(Hold):
    journal: Journal
    entry: int

    def update(self, **narrower: str) -> None:
        self.journal.update(self.entry, narrower)

    def drop(self) -> None:
        self.journal.drop(self.entry)


def _replay(run: str, descriptor: int) -> dict[int, Held]:
    """What the lines leave open; a torn tail is cut off, so that the next line begins on its own."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = _read_all(descriptor)
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.ftruncate(descriptor, whole)
    held: dict[int, Held] = {}
    for line in text[:whole].splitlines():
        record = _parse(line)
        if record is None:
            continue  # one damaged line must not keep the others from being undone
        if "hold" in record:
            held[record["hold"]] = Held(
                run, record["hold"], record["kind"], record["version"], record["data"], record["by_hand"]
            )
        elif "update" in record and record["update"] in held:
            held[record["update"]].data.update(record["data"])
        elif "drop" in record:
            held.pop(record["drop"], None)
    return held


def _parse(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    try:
        record: dict[str, Any] | None = json.loads(text) if int(checksum, 16) == zlib.crc32(text) else None
    except ValueError:
        return None
    return record


def _read_all(descriptor: int) -> bytes:
    parts, size = [], 0
    while size < _LARGEST and (part := os.read(descriptor, 1 << 20)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
