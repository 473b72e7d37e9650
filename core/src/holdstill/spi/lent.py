"""A view of a reader that somebody else holds."""

from __future__ import annotations

from collections.abc import Callable

from holdstill.errors import ReadFault
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader


class LentReader(Reader):
    """A still's own reader, lent: closing it lets go of nothing, and once the still is lost it reads nothing more."""

    def __init__(self, reader: Reader, lost: Callable[[], str | None]) -> None:
        """``lost`` says, without asking the system, why the still is known to be untrue."""
        self._reader: Reader | None = reader
        self._lost = lost
        self.size = reader.size
        self.alignment = reader.alignment
        self.preferred_read = reader.preferred_read

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the still's reader reads, until the still is known to be lost."""
        if reason := self._lost():
            raise ReadFault(reason, offset=offset, length=memoryview(buffer).nbytes)
        self._own().readinto(offset, buffer)

    def holes(self, start: int, end: int) -> Extents:
        """As the still's reader knows."""
        return self._own().holes(start, end)

    def changed(self) -> str | None:
        """As the still's reader says."""
        return self._own().changed()

    def close(self) -> None:
        """Give it back."""
        self._reader = None

    def _own(self) -> Reader:
        if self._reader is None:
            raise ValueError("the reader is closed")
        return self._reader
