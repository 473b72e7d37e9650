"""Locked against writing while it stays mounted: UFS of Solaris, by ``lockfs -w``. Its writers wait, its readers go on.
The lock carries our run's name, so that nobody else's is ever taken away.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Final

from holdstill.errors import VolumeBusy, VolumeUnusable
from holdstill.model.volume import Mount
from holdstill.spi.given_back import GivenBack
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_static_unmount.commands.boots import boot, started_again
from holdstill_static_unmount.still import StaticStill

KIND: Final = "static_commands.lock"
_LIMIT: Final = 60.0
#: no other has it
_SYSTEM: Final = "Solaris"
#: of ``lockfs PLACE`` (lockfs(8))
_HEADINGS: Final = ["Filesystem", "Locktype", "Comment"]


def hold(volume: Volume, mount: Mount, request: HoldRequest, rest: Callable[[float], None]) -> Still:
    """Raises ``VolumeBusy`` where somebody else has locked it, ``VolumeUnusable``; then all is as it was."""
    if lock := lock_of(request.runner, mount.path):
        raise VolumeBusy(
            f"it is locked already ({' '.join(lock)})",
            subject=volume.facts.path,
            next_step="`lockfs -u` takes that away",
        )
    comment = f"holdstill-{request.run}"
    data = {
        "what": f"{mount.path} locked against writing",
        "boot": boot(request.runner, _SYSTEM),
        "device": volume.facts.device,
        "place": mount.path,
        "comment": comment,
    }
    by_hand = shlex.join(("lockfs", "-u", mount.path))
    line = request.holds.hold(KIND, data, by_hand=by_hand)
    back = GivenBack(
        line, lambda: undo(data, request.runner, request.find), rest, subject=volume.facts.path, by_hand=by_hand
    )
    try:
        request.runner.change(("lockfs", "-f", mount.path))  # most of the work, while writers still go on
        ran = request.runner.change(("lockfs", "-w", "-c", comment, mount.path))
        if lock_of(request.runner, mount.path) != ("write", comment):
            raise VolumeUnusable(
                f"it cannot be locked against writing: {ran.said}",
                subject=volume.facts.path,
                next_step="use `--static-method unmount`; nothing is locked",
            )

        def look() -> str | None:
            if request.find(volume.facts.device).facts.mounts != volume.facts.mounts:
                return "it was mounted otherwise while it was read"
            locked = lock_of(request.runner, mount.path) == ("write", comment)
            return None if locked else "its lock was taken away while it was read"

        return StaticStill(volume.open_reader(exclusive=False), look, back)
    except BaseException:
        back()
        raise


def undo(data: dict[str, str], runner: Runner, find: Callable[[str], Volume]) -> Undone:
    """Take our lock away, if it is there. Raises ``HoldstillError`` where nobody can tell."""
    if started_again(data["boot"], runner, _SYSTEM):
        return Undone(UndoState.ABSENT, "the host was started again since")
    place = data["place"]
    if place not in {mount.path for mount in find(data["device"]).facts.mounts}:
        return Undone(UndoState.ABSENT, f"{place} was unmounted since, and the lock with it")
    lock = lock_of(runner, place)
    if lock is None:
        return Undone(UndoState.ABSENT, f"{place} is not locked")
    if lock[1] != data["comment"]:
        return Undone(UndoState.REFUSED, f"{place} is locked by somebody else ({' '.join(lock)})")
    ran = runner.change(("lockfs", "-u", place))
    if lock_of(runner, place) is not None:
        return Undone(UndoState.UNKNOWN, f"{place} is locked still: {ran.said}")
    return Undone(UndoState.REMOVED, f"{place} is unlocked again")


def lock_of(runner: Runner, place: str) -> tuple[str, str] | None:
    """The kind of lock and its comment; None: there is none. Raises ``VolumeUnusable`` for an answer that is not
    understood.
    """
    ran = runner.ask(("lockfs", place), limit=_LIMIT)
    head, *rows = ran.out.splitlines() or [""]
    if not ran.ok or head.split() != _HEADINGS:
        raise VolumeUnusable(
            f"what `lockfs {place}` says is not understood: {ran.said!r}; it printed: {ran.out[:1500]!r}",
            subject=place,
            next_step="send us that text with the release of the system",
        )
    mine = [words for row in rows if (words := row.split(None, 2)) and words[0] == place]
    if not mine or len(mine[0]) < 2:
        return None
    return mine[0][1], mine[0][2].strip() if len(mine[0]) > 2 else ""
