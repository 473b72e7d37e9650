"""The blocks of one file system, by number."""

from __future__ import annotations

import abc
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader

#: rows of one block each
Rows: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.int64]


class Overlay(abc.ABC):
    """What takes the place of some blocks as they lie on the volume."""

    @abc.abstractmethod
    def patch(self, first: int, rows: Rows) -> None:
        """Put in place whatever is newer in the blocks ``first``, ``first + 1``, ... of ``rows``."""


class Blocks:
    """A checked reader of whole blocks. ``overlay`` is laid over all that is read."""

    def __init__(self, reader: Reader, block_size: int, count: int, overlay: Overlay | None = None) -> None:
        self._reader = reader
        self.block_size = block_size
        self.count = count
        self._overlay = overlay

    def read(self, first: int, count: int, what: str) -> Rows:
        """``count`` blocks from ``first`` on (count x block size). Raises ``StructureFault`` outside the file system.

        ``what`` names them in that error.
        """
        if first < 0 or first + count > self.count:
            raise StructureFault(f"the {what} at block {first} would lie outside the {self.count} blocks")
        rows = np.empty((count, self.block_size), dtype=np.uint8)
        self._reader.readinto(first * self.block_size, rows.reshape(-1).data)
        if self._overlay is not None:
            self._overlay.patch(first, rows)
        return rows

    def gather(self, numbers: Numbers, what: str) -> Rows:
        """The blocks of these numbers, in their order; neighbours are read at once."""
        rows = np.empty((numbers.size, self.block_size), dtype=np.uint8)
        order = np.argsort(numbers, kind="stable")
        ascending = numbers[order]
        heads = np.flatnonzero(np.diff(ascending) != 1) + 1
        for run in np.split(np.arange(numbers.size), heads):
            if run.size:
                rows[order[run]] = self.read(int(ascending[run[0]]), run.size, what)
        return rows
