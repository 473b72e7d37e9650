"""One snapshot, by the commands of fssnap_ufs(8). Its backing file carries our run's name: by that it is known again.

When the backing file may grow no more the system deletes the snapshot: so it is asked for again after the last read.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Final

from holdstill.errors import NoProvider, UsageError, VolumeBusy, VolumeUnusable
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.given_back import GivenBack, carefully
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.lent import LentReader
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill.spi.still import Fill, HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_fssnap.asking import Snapshots

KIND: Final = "fssnap.snapshot"
#: where the backing files are made; on another file system than the one that is held
_FOLDER: Final = "/var/tmp"  # noqa: S108  # a name of our own, made by the system, which refuses what is there
#: of the volume, where the request says nothing
_SHARE: Final = 20


def hold(volume: Volume, request: HoldRequest, rest: Callable[[float], None] = time.sleep) -> Still:
    """Raises ``NoProvider`` for what is no mounted UFS of Solaris, ``VolumeBusy`` for one that has a snapshot already,
    ``VolumeUnusable``; then all is as it was.
    """
    places = [mount.path for mount in volume.facts.mounts if mount.filesystem == "ufs"]
    if request.mode is not Mode.SNAPSHOT or volume.facts.facts.get("system") != "Solaris" or len(places) != 1:
        raise NoProvider("it is no mounted UFS of Solaris", subject=volume.facts.path)
    place = places[0]
    known = Snapshots(request.runner)
    if place in known.places():
        raise VolumeBusy(
            "there is a snapshot of it already, and there can be one only",
            subject=volume.facts.path,
            next_step=f"`fssnap -d {place}` deletes it; or choose another mode",
        )
    backing = f"{_FOLDER}/holdstill-{request.run}"
    data = {"what": f"a snapshot of {place}", "place": place, "backing": backing}
    by_hand = f"{shlex.join(('fssnap', '-d', place))} && {shlex.join(('rm', '-f', backing))}"
    line = request.holds.hold(KIND, data, by_hand=by_hand)
    back = GivenBack(line, lambda: undo(1, data, request.runner), rest, subject=volume.facts.path, by_hand=by_hand)
    try:
        room = _room(request.cache_size, volume.facts.size)
        ran = request.runner.change(("fssnap", "-F", "ufs", "-o", f"bs={backing},maxsize={room >> 10}k", place))
        device = known.device(place, backing)
        if device is None:
            raise VolumeUnusable(
                f"no snapshot of it can be made: {ran.said}",
                subject=volume.facts.path,
                next_step=f"look at {_FOLDER}, which must be on another file system and have room",
            )
        return FssnapStill(request.find(device).open_reader(exclusive=False), known, place, backing, back)
    except BaseException:
        back()
        raise


def undo(version: int, data: dict[str, str], runner: Runner) -> Undone:
    """Delete the snapshot whose backing file is ours, and the file. Harmless to repeat."""
    if version != 1:
        return Undone(UndoState.UNKNOWN, f"{KIND} {version} was written by a newer release")
    return carefully(lambda: _undo(data["place"], data["backing"], runner))


def _undo(place: str, backing: str, runner: Runner) -> Undone:
    known = Snapshots(runner)
    if place not in known.places():
        runner.change(("rm", "-f", backing))
        return Undone(UndoState.ABSENT, f"there is no snapshot of {place}")
    if known.device(place, backing) is None:
        return Undone(UndoState.REFUSED, f"the snapshot of {place} has another backing file than {backing}")
    ran = runner.change(("fssnap", "-d", place))
    if place in known.places():
        return Undone(UndoState.BUSY, f"the snapshot of {place} cannot be deleted: {ran.said}")
    removed = runner.change(("rm", "-f", backing))
    if not removed.ok:
        return Undone(UndoState.UNKNOWN, f"{backing} cannot be removed: {removed.said}")
    return Undone(UndoState.REMOVED, f"the snapshot of {place} is deleted")


def _room(asked: str, size: int) -> int:
    share = asked.removesuffix("%") if asked.endswith("%") else ("" if asked else str(_SHARE))
    try:
        room = size * int(share) // 100 if share else int(asked)
    except ValueError:
        raise UsageError(f"{asked!r} is no size", next_step="a share like 20%, or bytes") from None
    return max(room, 1 << 20)


class FssnapStill(Still):
    """Reads the snapshot's own device."""

    mode = Mode.SNAPSHOT
    consistency = Consistency.POINT_IN_TIME

    def __init__(
        self, reader: Reader, known: Snapshots, place: str, backing: str, give_back: Callable[[], None]
    ) -> None:
        self._reader: Reader | None = reader
        self._known = known
        self._place = place
        self._backing = backing
        self._give_back = give_back
        self._lost: str | None = None

    def open_reader(self) -> Reader:
        """A view of the one reader."""
        if self._reader is None:
            raise ValueError("the still was released")
        return LentReader(self._reader, lambda: self._lost)

    def untrue(self) -> str | None:
        """Whether the snapshot is gone, as it is when its room was too small. Sticky."""
        if self._lost is None:
            self._lost = self._asked()
        return self._lost

    def fill(self) -> Fill | None:
        """The backing file, and how large it may become; None where the system tells otherwise than expected."""
        return self._known.fill(self._place)

    def release(self) -> None:
        """Delete the snapshot. Raises ``LeftHeld``."""
        self.untrue()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        self._give_back()

    def _asked(self) -> str | None:
        if self._reader is None:
            return "the snapshot was given back"
        try:
            there = self._known.device(self._place, self._backing) is not None
        except Exception as error:  # noqa: BLE001  # not knowing is a reason not to commit
            return f"cannot tell whether the snapshot is still there: {error}"
        return None if there else "the snapshot is gone: its room was too small, or somebody deleted it"
