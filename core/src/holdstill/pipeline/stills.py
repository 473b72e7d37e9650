"""The stills that core makes itself: of a volume that nobody uses, of a snapshot that is given, of a volume whose
writers wait, and of one that changes while it is read.
"""

from __future__ import annotations

import time
from typing import Final

from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.lent import LentReader
from holdstill.spi.reader import Reader
from holdstill.spi.still import Exactness, Freeze, Still
from holdstill.spi.volume import Volume

#: while it is read, a freeze is asked so often whether it holds, seconds
_ASK: Final = 0.25


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
        return LentReader(self._held, lambda: self.lost)

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


class GivenStill(OfflineStill):
    """A snapshot of the volume that somebody else made, and takes away: held like any volume that nobody uses."""

    mode = Mode.SNAPSHOT


class FreezeStill(Still):
    """A volume whose writers wait until everything was read, or until the limit, whichever comes first."""

    mode = Mode.FREEZE
    consistency = Consistency.POINT_IN_TIME

    def __init__(self, volume: Volume, freeze: Freeze) -> None:
        """``volume`` is opened only now: what a reader saw before the freeze is no part of the still."""
        self._freeze = freeze
        try:
            self._reader: Reader | None = volume.open_reader(exclusive=False)
        except BaseException:
            freeze.thaw()
            raise
        self._thawed = False
        self._ask_again = 0.0
        self.lost: str | None = None
        """Why it is known to be untrue."""

    def open_reader(self) -> Reader:
        """A view of the one reader of the still."""
        if self._reader is None:
            raise ValueError("the still was released")
        return LentReader(self._reader, self._now_and_then)

    def untrue(self) -> str | None:
        """Whether the freeze ended before everything was read. Sticky; the last word is had at the thaw."""
        if self.lost is None and not self._thawed:
            self.lost = self._freeze.ended()
        return self.lost

    def audit(self, unused: Extents) -> Audit | None:
        """What the freeze can say of it: nothing is written meanwhile."""
        return self._freeze.audit(unused)

    def all_was_read(self) -> None:
        """Let the writers go on, after asking for the last time."""
        self.untrue()
        self._thawed = True
        self._freeze.thaw()

    def _now_and_then(self) -> str | None:
        """Whether it is worth while to read on."""
        if self._thawed:
            return self.lost or "the freeze is over"
        if time.monotonic() >= self._ask_again:
            self._ask_again = time.monotonic() + _ASK
            return self.untrue()
        return self.lost

    def release(self) -> None:
        """Let the writers go on."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        if self.lost is None and not self._thawed:
            self.lost = "the freeze was given up"
        self._freeze.thaw()


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
