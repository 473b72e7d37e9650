"""The still of a JFS2: its raw device, and from the snapshot what has moved there."""

from __future__ import annotations

import threading

from holdstill.errors import HoldstillError
from holdstill.model.extents import Extents
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.given_back import GivenBack
from holdstill.spi.lent import LentReader
from holdstill.spi.reader import Reader
from holdstill.spi.still import Exactness, Fill, Still
from holdstill_jfs2.moved.reader import MovedReader
from holdstill_jfs2.snapshots.health import Health


class SnapshotStill(Still):
    """A snapshot that exists, until it is released."""

    mode = Mode.SNAPSHOT
    consistency = Consistency.POINT_IN_TIME
    #: old blocks that were free need not be kept
    exactness = Exactness.INSIDE_MAP
    #: a standard volume group keeps its control block there
    not_held = Extents.of((0, 512))

    def __init__(self, reader: MovedReader, health: Health, give_back: GivenBack, *, log_inside: bool) -> None:
        self._reader: MovedReader | None = reader
        self._health = health
        self._give_back = give_back
        self._asking = threading.Lock()
        where = "the log inside it reads as zeros" if log_inside else "its log is another volume's"
        self.notes = (
            "what had moved into the snapshot the kernel was asked in a way that no real host has proven",
            f"{where}: format it after a restore (logform), never replay it",
        )
        self.lost: str | None = None
        """Why it is known to be untrue."""

    def open_reader(self) -> Reader:
        """A view of the one reader."""
        if self._reader is None:
            raise ValueError("the still was released")
        return LentReader(self._reader, lambda: self.lost)

    def untrue(self) -> str | None:
        """See ``Still``."""
        with self._asking:
            if self.lost is None:
                self.lost = self._asked()
            return self.lost

    def fill(self) -> Fill | None:
        """See ``Still``."""
        return None if self._reader is None else self._health.fill()

    def grow(self) -> bool:
        """See ``Still``."""
        return self._reader is not None and self._health.grow()

    def release(self) -> None:
        """See ``Still``."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
            self.lost = self.lost or "the snapshot was given back"
        self._give_back()

    def _asked(self) -> str | None:
        if self._reader is None:
            return "the snapshot was given back"
        try:
            return self._health.lost() or self._reader.failed
        except (HoldstillError, OSError) as error:
            return f"cannot tell whether the snapshot is valid: {error}"
