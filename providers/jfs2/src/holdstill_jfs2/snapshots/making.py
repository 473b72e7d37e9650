"""Making a snapshot, looked at before it is believed."""

from __future__ import annotations

from holdstill.errors import VolumeUnusable
from holdstill_jfs2.commands import Aix, Kept
from holdstill_jfs2.snapshots.ours import Written


def external(aix: Aix, written: Written, partitions: int) -> Kept:
    """A volume first, so that its name is ours, and then a snapshot in it. Raises ``VolumeUnusable``."""
    ours = written.ours
    ran = aix.make_volume(ours.name, ours.label, ours.group, partitions)
    if ours.name not in aix.members(ours.group):
        raise VolumeUnusable(f"no volume can be made for a snapshot: {ran.said}", subject=ours.place)
    made = aix.volume(ours.name)
    if not ours.is_it(made):
        raise VolumeUnusable(f"logical volume {ours.name} is not the one that was made", subject=ours.place)
    written.known(made.ident)
    ran = aix.make_external(ours.place, ours.name)
    return _looked_at(aix, written, ran.said)


def internal(aix: Aix, written: Written) -> Kept:
    """In the file system itself. Raises ``VolumeUnusable``."""
    ran = aix.make_internal(written.ours.place, written.ours.name)
    return _looked_at(aix, written, ran.said)


def _looked_at(aix: Aix, written: Written, said: str) -> Kept:
    ours = written.ours
    kept = aix.snapshots(ours.place)
    mine = ours.among(kept)
    if mine is None:
        raise VolumeUnusable(
            f"no snapshot can be made of it: {said}",
            subject=ours.place,
            next_step="nothing was read; what was half made is removed",
        )
    if len(kept) > 1 or not mine.valid or not mine.current:
        raise VolumeUnusable("somebody made another snapshot of it at the same time", subject=ours.place)
    return mine
