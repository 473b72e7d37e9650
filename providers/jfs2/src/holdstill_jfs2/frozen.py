"""A freeze that ends by itself soon, and is asked for again and again for as long as it is needed.

``chfs -a freeze=SECONDS`` ends by itself when its seconds are over, whoever died. So each one is short, and renewed
by a timer. A renewal that came back later than the freeze before it surely lasted proves nothing: writers may have
gone on in between, and the still is untrue.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from holdstill.errors import VolumeBusy, VolumeChanged, VolumeUnusable
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill.spi.still import Freeze, HoldRequest
from holdstill.spi.volume import Volume
from holdstill_jfs2.commands import Aix
from holdstill_jfs2.ground import ground

KIND: Final = "jfs2.frozen"
VERSION: Final = 1
#: so long writers wait at most when we die, seconds
LEASE: Final = 20
#: how often it is renewed: several times within a lease, seconds
_RENEW: Final = 5.0


class Clock:
    """Of this host, and counted by nobody else."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


CLOCK: Final = Clock()


def hold(volume: Volume, request: HoldRequest) -> Freeze:
    """Freeze a mounted JFS2. Raises ``NoProvider``, ``VolumeUnusable``, ``VolumeBusy``; then nothing is frozen."""
    freeze = frozen(volume, request, CLOCK)
    threading.Thread(target=freeze.renew_until_over, name="jfs2 freeze", daemon=True).start()
    return freeze


def frozen(volume: Volume, request: HoldRequest, clock: Clock) -> LeasedFreeze:
    """The same, and nobody renews it but who asks whether it holds."""
    found = ground(volume)
    data = {"what": f"{found.place} frozen", "place": found.place, "seconds": str(LEASE)}
    line = request.holds.hold(KIND, data, by_hand=f"chfs -a freeze=off {found.place}", version=VERSION)
    freeze = LeasedFreeze(Aix(request.runner, patient=True), found.place, request.limit, line, clock)
    freeze.begin()
    return freeze


def undo(data: dict[str, str], clock: Clock = CLOCK) -> Undone:
    """Wait until it must be over. To thaw it could be to thaw what somebody else has frozen since."""
    clock.sleep(float(data["seconds"]))
    return Undone(UndoState.ABSENT, f"nobody renewed it, and after {data['seconds']} seconds it ends by itself")


class LeasedFreeze(Freeze):
    """One freeze, from lease to lease. Its methods may be called from several threads."""

    def __init__(self, aix: Aix, place: str, limit: float, line: Hold, clock: Clock) -> None:
        self._aix = aix
        self._place = place
        self._limit = limit
        self._line: Hold | None = line
        self._clock = clock
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._why: str | None = None
        self._ends = clock.now() + limit
        self._surely = 0.0
        """It holds until then, unless somebody else ended it."""
        self._perhaps = 0.0
        """It may hold until then."""

    def begin(self) -> None:
        """Raises ``VolumeUnusable`` and ``VolumeBusy``; then it is over."""
        try:
            if (said := self._ask("freeze")) is not None:
                raise VolumeUnusable(
                    f"it cannot be frozen: {said}",
                    subject=self._place,
                    next_step="somebody else may have frozen it already; wait, or choose another mode",
                )
            if self._clock.now() >= self._surely:
                raise VolumeBusy(
                    f"it could not be frozen within {LEASE} seconds",
                    subject=self._place,
                    next_step="try when less is being written to it",
                )
        except BaseException:
            self._surely = 0.0  # what is frozen there may be somebody else's: it is not ours to thaw
            self.thaw()
            raise

    def renew(self) -> None:
        """See ``Freeze``."""
        with self._lock:
            self._ends = self._clock.now() + self._limit
            if reason := self.ended():
                raise VolumeChanged(reason, subject=self._place)

    def ended(self) -> str | None:
        """See ``Freeze``. The system does not tell whether it is frozen, but what is not frozen it does not refreeze:
        so each answer is a renewal.
        """
        with self._lock:
            if self._why is None:
                self._why = self._asked()
            return self._why

    def renew_until_over(self) -> None:
        """For a thread of its own: readers may wait for something else than the volume for longer than a lease."""
        while not self._over.wait(_RENEW):
            if self.ended() is not None:
                return

    def thaw(self) -> None:
        """See ``Freeze``. What is surely ours is thawed; else, or if that fails, it is waited for until it ends."""
        self._over.set()
        with self._lock:
            if self._line is None:
                return
            if self._clock.now() >= self._surely or not self._thawed():
                self._clock.sleep(max(0.0, self._perhaps - self._clock.now()))
            self._line.drop()
            self._line = None

    def _thawed(self) -> bool:
        try:
            return self._aix.thaw(self._place).ok
        except OSError:
            return False

    def _asked(self) -> str | None:
        if self._over.is_set():
            return "the freeze is over"
        now = self._clock.now()
        if now >= self._ends:
            return f"the freeze ended at its limit of {self._limit:g} seconds, before everything was read"
        sure = self._surely
        if now >= sure:
            return f"the freeze was renewed too late: it was sure for {LEASE} seconds"
        if (said := self._ask("refreeze")) is not None:
            return f"the freeze ended, or could not be renewed: {said}"
        if self._clock.now() >= sure:
            return f"the freeze was renewed too late: the one before was sure for {LEASE} seconds"
        return None

    def _ask(self, word: str) -> str | None:
        """Why it was refused, or None."""
        begun = self._clock.now()
        seconds = max(1, math.ceil(min(LEASE, self._ends - begun)))
        ask = self._aix.freeze if word == "freeze" else self._aix.refreeze
        self._perhaps = math.inf
        try:
            ran = ask(self._place, seconds)
        except OSError as error:  # no room for what it prints
            return f"{error}"
        finally:
            self._perhaps = self._clock.now() + seconds
        if not ran.ok:
            return ran.said
        self._surely = begun + seconds
        return None
