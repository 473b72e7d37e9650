"""A block map on disk: appended once, read as often as needed, in the memory of one block."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from holdstill.held.state import kept_in
from holdstill.model.extents import Extents

#: runs of one block of the spool
_BLOCK: Final = 1 << 16
#: of one block: where the run before it ended, runs, bytes that follow, grain (a power of two), width of the numbers
_HEAD: Final = struct.Struct("<QIIBB")
_WIDTHS: Final[tuple[type[np.unsignedinteger], ...]] = (np.uint8, np.uint16, np.uint32, np.uint64)


class MapSpool:
    """Ascending windows of extents, in a scratch file that has no name and so goes with the process.

    A block is the gaps before its runs and the lengths of its runs, divided by the largest power of two that divides
    them all, as the narrowest integers that hold them, deflated. Raises ``HoldstillError`` if the scratch space is
    full. Several threads may iterate at once, once appending has ended.
    """

    def __init__(self, folder: Path) -> None:
        """``folder``: the engine's scratch folder."""
        self._folder = folder
        with kept_in(folder, "the block map cannot be spooled"):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed by close()
        self.clear()

    def clear(self) -> None:
        """Begin again with an empty map."""
        self._file.truncate(0)
        self.total = 0
        self.runs = 0
        self._size = 0
        self._end = 0
        self._waiting: list[Extents] = []
        self._waiting_runs = 0

    def append(self, window: Extents) -> None:
        """Add a window that begins after the end of the one before, as ``holdstill.model.windows`` makes them."""
        if not window:
            return
        self.total += window.total
        self.runs += len(window)
        self._waiting.append(window)
        self._waiting_runs += len(window)
        if self._waiting_runs >= _BLOCK:
            self._write_out()

    def windows(self) -> Iterator[Extents]:
        """The whole map, from its beginning."""
        self._write_out()
        at = 0
        while at < self._size:
            before, runs, length, grain, width = _HEAD.unpack(self._pread(_HEAD.size, at))
            body = zlib.decompress(self._pread(length, at + _HEAD.size))
            steps = np.frombuffer(body, dtype=_WIDTHS[width]).reshape(2, runs).T.astype(np.int64) << grain
            edges = np.cumsum(steps.ravel()) + before
            yield Extents(edges[0::2].copy(), edges[1::2].copy())
            at += _HEAD.size + length

    def close(self) -> None:
        """Give the scratch space back. May be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write_out(self) -> None:
        if not self._waiting:
            return
        starts = np.concatenate([window.starts for window in self._waiting])
        ends = np.concatenate([window.ends for window in self._waiting])
        self._waiting, self._waiting_runs = [], 0
        for first in range(0, starts.size, _BLOCK):
            block = slice(first, first + _BLOCK)
            self._write(_encoded(self._end, starts[block], ends[block]))
            self._end = int(ends[block][-1])

    def _write(self, block: bytes) -> None:
        left = memoryview(block)
        with kept_in(self._folder, "the block map cannot be spooled"):
            while left:
                written = os.pwrite(self._file.fileno(), left, self._size)
                left = left[written:]
                self._size += written

    def _pread(self, length: int, at: int) -> bytes:
        return os.pread(self._file.fileno(), length, at)


def _encoded(before: int, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bytes:
    gaps = starts - np.concatenate((np.array([before], dtype=np.int64), ends[:-1]))
    steps = np.concatenate((gaps, ends - starts))
    common = int(np.bitwise_or.reduce(steps))
    grain = (common & -common).bit_length() - 1
    width = next(at for at, kind in enumerate(_WIDTHS) if common >> grain < 1 << 8 * kind().itemsize)
    body = zlib.compress((steps >> grain).astype(_WIDTHS[width]).tobytes(), 1)
    return _HEAD.pack(before, starts.size, len(body), grain, width) + body
