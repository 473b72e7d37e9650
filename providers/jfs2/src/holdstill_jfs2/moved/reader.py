"""The reader of a snapshot: the volume as it is, and over it what has moved.

Right whatever happens meanwhile: a block's old content is in the store, and the kernel says so, before anything new is
written over it. So what was read of the volume is old, or the question that is asked afterwards is answered with a
move. The store is read last, and whether it was good all the time the still is asked when everything was read.
"""

from __future__ import annotations

from holdstill.errors import HoldstillError, ReadFault
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_jfs2.moved.moves import Moves


class MovedReader(Reader):
    """``origin`` with what has moved from ``store``; ``blank`` reads as zeros. Closes both."""

    def __init__(self, origin: Reader, store: Reader, moves: Moves, blank: Extents = Extents.none()) -> None:  # noqa: B008  # frozen
        self._origin = origin
        self._store = store
        self._moves = moves
        self._blank = blank
        self.size = origin.size
        self.alignment = origin.alignment
        self.preferred_read = origin.preferred_read
        self.failed: str | None = None
        """Why it was once not possible to say what has moved: for good."""

    def readinto(self, offset: int, buffer: Room) -> None:
        """See ``Reader``."""
        room = memoryview(buffer).cast("B")
        self._origin.readinto(offset, room)
        try:
            for move in self._moves.within(offset, offset + room.nbytes):
                start, end = max(move.offset, offset), min(move.offset + move.length, offset + room.nbytes)
                if start < end:
                    self._store.readinto(move.place + start - move.offset, room[start - offset : end - offset])
        except ReadFault:
            raise
        except (HoldstillError, ValueError) as error:
            self.failed = self.failed or f"what has moved into the snapshot cannot be told: {error}"
            raise ReadFault(self.failed, offset=offset, length=room.nbytes) from error
        for start, length in self._blank.clip(offset, offset + room.nbytes):
            room[start - offset : start - offset + length] = bytes(length)

    def close(self) -> None:
        """See ``Reader``."""
        self._origin.close()
        self._store.close()
