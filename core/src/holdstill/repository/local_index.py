"""What this host keeps of a repository's index segments, so that only those that are new to it are read.

It is a cache and no more: what it says of a pack is believed while a digest says that it is what was read from the
segment, and while the target lists a segment that names the pack. Dropped, damaged or of another repository it is made
anew. Prunes and verifications do not look at it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import struct
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import attrs
import numpy as np

from holdstill.errors import HoldstillError
from holdstill.repository.index import Index
from holdstill.repository.naming import Naming
from holdstill.repository.pack_table import PACK, PackTable
from holdstill.repository.runs import Run

_FORMAT: Final = 1
_CATALOGUE: Final = "catalogue"
_LOCK: Final = "lock"
_RUN: Final = "run-"
_HEAD: Final = struct.Struct("<I")
_DIGEST: Final = 32


@attrs.frozen
class LocalIndex:
    """The runs of one repository's index in one folder, and a catalogue that says what is in them."""

    folder: Path
    """Of this repository alone."""
    repository: str
    """Its id."""
    scratch: Path

    @contextmanager
    def opened(self, listed: Collection[str]) -> Iterator[tuple[Index, Naming]]:
        """The index and the naming by those of the ``listed`` segments that are known here. What is added to both
        inside is kept, unless another process is at the same: then that one's is.
        """
        descriptor = self._locked()
        try:
            index, naming = self._loaded(listed)
            index.on_unsound = self.forget if index.packs else index.on_unsound
            before = len(naming.segments)
            if descriptor is not None:
                index.new_file = self._new_file
            yield index, naming
            index.new_file = None
            if descriptor is not None and len(naming.segments) > before:
                self._keep(index, naming)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def forget(self) -> None:
        """Nothing is known here any more."""
        (self.folder / _CATALOGUE).unlink(missing_ok=True)

    def _locked(self) -> int | None:
        """The lock's descriptor; None if another process has it, or nothing can be written here."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _new_file(self) -> IO[bytes]:
        return (self.folder / f"{_RUN}{secrets.token_hex(8)}").open("x+b")

    def _loaded(self, listed: Collection[str]) -> tuple[Index, Naming]:
        with ExitStack() as unless_used:
            found = self._read_runs(listed, unless_used)
            if found is not None:
                unless_used.pop_all()
                return found
        return Index(self.scratch), Naming()

    def _read_runs(self, listed: Collection[str], unless_used: ExitStack) -> tuple[Index, Naming] | None:
        """What is kept, if it is of use. What ``unless_used`` does closes the runs."""
        try:
            head, body = _read(self.folder / _CATALOGUE, self.repository)
            size = head["packs"] * PACK.itemsize
            table = np.frombuffer(body[:size], dtype=PACK)
            naming = Naming(head["segments"], np.frombuffer(body[size:], dtype=np.uint32).reshape(-1, 2)).only(listed)
            runs = [self._run(name, count, unless_used) for name, count in head["runs"]]
        except (OSError, HoldstillError, ValueError, KeyError, TypeError):
            return None
        named = naming.named(len(table))
        rows = table["rows"].astype(np.int64)
        if 2 * rows[named].sum() < rows.sum():
            return None  # mostly of packs that are gone
        index = Index(self.scratch, PackTable(table), runs)
        with suppress(HoldstillError):
            if index.holds_together():
                return index, naming
        return None

    def _run(self, name: str, count: int, unless_used: ExitStack) -> Run:
        with (self.folder / name).open("rb") as file:
            run = Run(file, count)
        unless_used.callback(run.close)
        return run

    def _keep(self, index: Index, naming: Naming) -> None:
        """What cannot be written is not kept; nobody depends on it."""
        try:
            index.new_file = self._new_file
            index.settle()
            runs = [(Path(run.name).name, run.count) for run in index.runs]
            self._write(index, naming, runs)
            for path in self.folder.glob(f"{_RUN}*"):
                if path.name not in {name for name, _ in runs}:
                    path.unlink(missing_ok=True)
        except (OSError, HoldstillError):
            self.forget()
        finally:
            index.new_file = None

    def _write(self, index: Index, naming: Naming, runs: list[tuple[str, int]]) -> None:
        head = {
            "format": _FORMAT,
            "repository": self.repository,
            "order": sys.byteorder,
            "packs": len(index.packs),
            "runs": runs,
            "segments": naming.segments,
        }
        text = json.dumps(head).encode()
        parts = [_HEAD.pack(len(text)), text, index.packs.table.tobytes(), naming.pairs.tobytes()]
        digest = hashlib.blake2b(digest_size=_DIGEST)
        hidden = self.folder / f"{_RUN}{secrets.token_hex(8)}"
        with hidden.open("xb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
        hidden.replace(self.folder / _CATALOGUE)


def _read(path: Path, repository: str) -> tuple[dict[str, Any], bytes]:
    """Head and body of a catalogue. Raises ValueError for one that is damaged, or not of this repository."""
    data = path.read_bytes()
    if hashlib.blake2b(data[:-_DIGEST], digest_size=_DIGEST).digest() != data[-_DIGEST:]:
        raise ValueError("it is not what was written")
    length = _HEAD.unpack_from(data)[0] + _HEAD.size
    head = json.loads(data[_HEAD.size : length])
    if (head["format"], head["repository"], head["order"]) != (_FORMAT, repository, sys.byteorder):
        raise ValueError("it is of another repository, release or machine")
    return head, data[length:-_DIGEST]


#: makes the cache of a repository with this id, or None where there is no place for one
Caches = Callable[[str], LocalIndex | None]
