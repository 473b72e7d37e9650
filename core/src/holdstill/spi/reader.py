"""Reading a volume or a still."""

from __future__ import annotations

import abc
from typing import Self

from holdstill.model.buffers import Room
from holdstill.model.extents import Extents


class Reader(abc.ABC):
    """A positional reader of a fixed number of bytes.

    Obligations:

    1. ``readinto`` fills the whole buffer or raises ``ReadFault`` naming the range; it is never short, and a fault
       never looks
       like the end. A range outside ``[0, size)`` is a ``ValueError``.
    2. It returns what is on the volume now, not what some cache remembers (a buffered read of a mounted device
       returns old data),
       and does not push the host's own pages out of its cache.
    3. Any offset and length will do. Offsets and lengths that are multiples of ``alignment``, into a buffer that is
       itself so aligned, cost
       no extra copy.
    4. It may be called from several threads at once.
    5. ``close`` may be called twice; ``readinto`` after ``close`` is a ``ValueError``. Whoever opened it closes it.
    """

    size: int
    """Bytes."""
    alignment: int = 4096
    """Bytes; a power of two."""
    preferred_read: int = 1 << 20
    """Reads of about this many bytes cost least. A hint."""

    @abc.abstractmethod
    def readinto(self, offset: int, buffer: Room) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it."""

    def holes(self, start: int, end: int) -> Extents:
        """What of ``[start, end)`` is known to read as zeros without reading it. Nothing, unless a subclass knows
        better.
        """
        return Extents.none()

    def changed(self) -> str | None:
        """Why what was read can no longer be taken for one instant, or None. A sentence for the user.

        The answer covers everything read since the reader was opened. Plain readers of things that others may write
        notice what
        they can (size, times, leases); a snapshot's reader has nothing to add.
        """
        return None

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on: a convenience for parsers, not for bulk data."""
        buffer = bytearray(length)
        self.readinto(offset, buffer)
        return bytes(buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
