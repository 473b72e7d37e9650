"""A reader that is asked elsewhere whether what it reads has changed."""

from __future__ import annotations

from collections.abc import Callable

from holdstill.errors import HoldstillError
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader


class NoticingReader(Reader):
    """Reads as another reader does, and asks both that and ``noticed`` what changed."""

    def __init__(self, reader: Reader, noticed: Callable[[], str | None]) -> None:
        self._reader = reader
        self._noticed = noticed
        self.size = reader.size
        self.alignment = reader.alignment
        self.preferred_read = reader.preferred_read

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the other reads."""
        self._reader.readinto(offset, buffer)

    def holes(self, start: int, end: int) -> Extents:
        """As the other knows."""
        return self._reader.holes(start, end)

    def changed(self) -> str | None:
        """What either noticed; that it cannot be asked is a reason, too."""
        try:
            return self._reader.changed() or self._noticed()
        except HoldstillError as error:
            return f"it cannot be told whether it changed: {error}"

    def close(self) -> None:
        """Let go of it."""
        self._reader.close()
