"""The two stills that core makes itself: of a volume that nobody uses, and of one that changes while it is read."""

from __future__ import annotations

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
        self._why: str | None = None

    def open_reader(self) -> Reader:
        """A view of the one reader that holds the volume: closing it does not let go of the volume."""
        if self._held is None:
            raise ValueError("the still was released")
        return _Lent(self._held)

    def untrue(self) -> str | None:
        """Whether the volume changed since it was held. Sticky."""
        if self._why is None:
            self._why = self._asked()
        return self._why

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
    """Somebody else's reader, which stays open."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Reader | None = reader
        self.size = reader.size
        self.alignment = reader.alignment
        self.preferred_read = reader.preferred_read

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the lender reads."""
        self._lender().readinto(offset, buffer)

    def holes(self, start: int, end: int) -> Extents:
        """As the lender knows."""
        return self._lender().holes(start, end)

    def changed(self) -> str | None:
        """As the lender says."""
        return self._lender().changed()

    def close(self) -> None:
        """Give it back."""
        self._reader = None

    def _lender(self) -> Reader:
        if self._reader is None:
            raise ValueError("the reader is closed")
        return self._reader
