"""The ids of all chunks of the image that is being made."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, Self

from holdstill.held.state import kept_in
from holdstill.repository.layout import ID_SIZE as ID

_PIECE: Final = 4096 * ID


class IdSink(Protocol):
    """What a sheet is poured into: the builder of a page tree."""

    def append(self, ids: bytes) -> None:
        """Add these ids."""

    def append_zeros(self, count: int) -> None:
        """Add this many zero ids."""


class Sheet:
    """One id for each chunk of the volume, in a sparse scratch file: memory stays flat, and any id may be written
    again.

    What was never written is the zero id. A dynamic image reads some chunks several times; the last reading counts.
    """

    def __init__(self, folder: Path, count: int) -> None:
        """For ``count`` chunks, in a nameless file in ``folder``."""
        self.count = count
        self._folder = folder
        with kept_in(folder, "the chunk ids cannot be spooled"):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by close()
            try:
                self._file.truncate(count * ID)
            except OSError:
                self.close()
                raise

    def write(self, first: int, ids: bytes) -> None:
        """Set the ids from chunk ``first`` on. Raises ``HoldstillError`` if the scratch space is full."""
        with kept_in(self._folder, "the chunk ids cannot be spooled"):
            if os.pwrite(self._file.fileno(), ids, first * ID) != len(ids):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self, first: int, count: int) -> bytes:
        """The ids of ``count`` chunks from ``first`` on."""
        return os.pread(self._file.fileno(), count * ID, first * ID)

    def pour(self, sink: IdSink) -> None:
        """Give all ids to ``sink``, in order."""
        at = 0
        for first, count in self._written():
            sink.append_zeros(first - at)
            sink.append(self.read(first, count))
            at = first + count
        sink.append_zeros(self.count - at)

    def _written(self) -> Iterator[tuple[int, int]]:
        """Runs of chunks that may have an id, a bounded piece at a time; holes of the scratch file are skipped."""
        at, end = 0, self.count * ID
        while at < end:
            at = self._next_data(at, end) // ID * ID
            past = min(at + _PIECE, self._next_hole(at, end))
            if past > at:
                yield at // ID, (past - at) // ID
            at = max(past, at)

    def _next_data(self, at: int, end: int) -> int:
        if not hasattr(os, "SEEK_DATA"):
            return at
        try:
            return os.lseek(self._file.fileno(), at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole from here on
            return end

    def _next_hole(self, at: int, end: int) -> int:
        if not hasattr(os, "SEEK_HOLE") or at >= end:
            return end
        hole = os.lseek(self._file.fileno(), at, os.SEEK_HOLE)
        return min(-(-hole // ID) * ID, end)

    def close(self) -> None:
        """Give the scratch space back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
