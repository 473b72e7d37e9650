"""The two stills that core makes itself: of a volume that nobody uses, and of one that changes while it is read."""

from __future__ import annotations

from holdstill.errors import ReadFault
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.reader import Reader
from holdstill.spi.still import Exactness, Still
from holdstill.spi.volume import Volume


class OfflineStill(Still):
    """A volume held exclusively from now until ``release``; where that cannot be enforced, changes are noticed."""

    mode = Mode.OFFLINE
    consistency = Consistency.POINT_IN_TIME

    def __init__(self, volume: Volume) -> None:
        """Raises ``VolumeBusy`` naming who has the volume."""
        self._held: Reader | None = volume.open_reader(exclusive=True)
        self.lost: str | None = None
        """Why it is known to be untrue."""

    def open_reader(self) -> Reader:
        """A view of the one reader that holds the volume: closing it does not let go of the volume."""
        if self._held is None:
            raise ValueError("the still was released")
        return _Lent(self, self._held)

    def untrue(self) -> str | None:
        """Whether the volume changed since it was held. Sticky."""
        if self.lost is None:
            self.lost = self._asked()
        return self.lost

    def release(self) -> None:
        """Let go of the volume."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _asked(self) -> str | None:
        if self._held is None:
            return "the volume is no longer held"
        try:
            return self._held.changed()
        except Exception as error:  # noqa: BLE001  # a platform's bug; not knowing is a reason not to commit
            return f"cannot tell whether the volume changed: {error}"


class DynamicStill(Still):
    """A volume read as it is, whoever writes to it. It claims nothing, so it is never untrue."""

    mode = Mode.DYNAMIC
    consistency = Consistency.FUZZY
    exactness = Exactness.FUZZY

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def open_reader(self) -> Reader:
        """A reader of its own each time, which sees the volume as it is at each read."""
        return self._volume.open_reader(exclusive=False)

    def untrue(self) -> str | None:
        """None."""
        return None

    def release(self) -> None:
        """Nothing was acquired."""


class _Lent(Reader):
    """The still's own reader, which stays open when this one is closed."""

    def __init__(self, still: OfflineStill, reader: Reader) -> None:
        self._still = still
        self._reader: Reader | None = reader
        self.size = reader.size
        self.alignment = reader.alignment
        self.preferred_read = reader.preferred_read

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the still's reader reads, until the still is known to be lost."""
        if self._still.lost:
            raise ReadFault(self._still.lost, offset=offset, length=memoryview(buffer).nbytes)
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
