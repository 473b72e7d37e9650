"""Making a snapshot, looked at before it is believed."""

from __future__ import annotations

import attrs

from holdstill.errors import VolumeUnusable
from holdstill_jfs2.commands import Aix, Kept
from holdstill_jfs2.snapshots.given_back import GivenBack


def external(aix: Aix, back: GivenBack, partitions: int) -> Kept:
    """A volume first, so that its name is ours, and then a snapshot in it. Raises ``VolumeUnusable``."""
    ours = back.ours
    ran = aix.make_volume(ours.name, ours.label, ours.group, partitions)
    if ours.name not in aix.members(ours.group):
        raise VolumeUnusable(f"no volume can be made for a snapshot: {ran.said}", subject=ours.place)
    made = aix.volume(ours.name)
    if not ours.is_it(made):
        raise VolumeUnusable(f"logical volume {ours.name} is not the one that was made", subject=ours.place)
    back.known(attrs.evolve(ours, ident=made.ident))
    ran = aix.make_external(ours.place, ours.name)
    return _looked_at(aix, back, ran.said)


def internal(aix: Aix, back: GivenBack) -> Kept:
    """In the file system itself. Raises ``VolumeUnusable``."""
    ran = aix.make_internal(back.ours.place, back.ours.name)
    return _looked_at(aix, back, ran.said)


def _looked_at(aix: Aix, back: GivenBack, said: str) -> Kept:
    ours = back.ours
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
