"""From a volume to its still, and back to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from holdstill.errors import NoProvider, VolumeUnusable
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_lvm2.fitness import unfit
from holdstill_lvm2.lvm import LogicalVolume, Lvm, unmapped
from holdstill_lvm2.snapshots import delta, thick, thin
from holdstill_lvm2.snapshots import ours as snapshots
from holdstill_lvm2.snapshots.given_back import GivenBack
from holdstill_lvm2.snapshots.ours import KIND, VERSION, Ours
from holdstill_lvm2.snapshots.still import Health, SnapshotStill


def hold(volume: Volume, request: HoldRequest) -> Still:
    """The still of a logical volume. Raises ``NoProvider`` for anything else, and for what LVM makes no snapshot of."""
    lvm = Lvm(request.runner)
    origin, pool = find(lvm, volume)
    make = _maker(lvm, origin, pool, request)
    ours = Ours.of(origin, request.run)
    line = request.holds.hold(KIND, ours.line(), by_hand=ours.by_hand, version=VERSION)
    back = GivenBack(Lvm(request.runner, patient=True), ours, line)
    try:
        made, health = make(back)
        reader = request.find(made.path).open_reader(exclusive=True)
        if reader.size != origin.size:
            reader.close()
            raise VolumeUnusable(
                f"the snapshot has {reader.size} bytes and the volume {origin.size}", subject=volume.facts.path
            )
        return SnapshotStill(reader, health, back)
    except BaseException:
        back()
        raise


def undo(kind: str, version: int, data: dict[str, str], runner: Runner) -> Undone:
    """What a line of the journal names, removed or released."""
    if (kind, version) == (KIND, VERSION):
        return snapshots.undo(Lvm(runner, patient=True), Ours.from_line(data))
    if (kind, version) == (delta.KIND, delta.VERSION):
        return delta.undo(Lvm(runner, patient=True), data)
    return Undone(UndoState.UNKNOWN, f"this release does not know version {version} of {kind}")


def _maker(
    lvm: Lvm, origin: LogicalVolume, pool: LogicalVolume | None, request: HoldRequest
) -> Callable[[GivenBack], tuple[LogicalVolume, Health]]:
    """What makes the snapshot. Raises ``NoProvider`` where it is known beforehand that none can be made."""
    if pool is not None:
        return partial(thin.make, lvm, request.holds, origin, thin.plan(lvm, origin, pool))
    return partial(thick.make, lvm, origin, thick.plan(origin, request))


def find(lvm: Lvm, volume: Volume) -> tuple[LogicalVolume, LogicalVolume | None]:
    """The logical volume behind ``volume``, and its thin pool if it is in one. Raises ``NoProvider``, saying what
    stands against a snapshot of it.
    """
    path = volume.facts.path
    uuids = unmapped(volume.facts.facts.get("dm_uuid", ""))
    if uuids is None:
        raise NoProvider(
            "it is no logical volume of LVM2", subject=path, next_step="choose another mode; `auto` chooses by itself"
        )
    volumes = {each.uuid: each for each in lvm.volumes(uuids[0])}
    found = volumes.get(uuids[1])
    if found is None:
        raise NoProvider(
            "LVM does not know this volume, although its device is there",
            subject=path,
            next_step="look at `lvs -a`, at LVM's devices file (lvmdevices) and at its filters",
        )
    if reason := _unusable(found) or _siblings(found, volumes.values()):
        raise NoProvider(f"no snapshot can be made of it: {reason}", subject=path)
    return found, volumes.get(found.pool_uuid) if found.is_thin else None


def _siblings(found: LogicalVolume, volumes: Iterable[LogicalVolume]) -> str | None:
    """LVM resumes all snapshots with their origin: one that somebody else has suspended must stay so."""
    for volume in volumes:
        if volume.origin_uuid == found.uuid and not volume.is_thin and volume.attributes[4:5] in ("s", "S"):
            return f"its snapshot {volume.name} is suspended, and not by us"
    return None


def _unusable(found: LogicalVolume) -> str | None:
    if reason := unfit(found):
        return reason
    if found.attributes[4] == "s":
        return "it is suspended, and not by us"
    if found.attributes[0] == "O":
        return "a snapshot is being merged into it"
    if found.attributes[2].isupper():
        return "it is being moved (pvmove)"
    if found.attributes[4] != "a":
        return f"it is not in a usable state ({found.attributes})"
    return None
