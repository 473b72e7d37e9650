"""A thick snapshot: old blocks are kept in space of its own, which may run out."""

from __future__ import annotations

import attrs

from holdstill.errors import HoldstillError, NoProvider, VolumeUnusable
from holdstill.spi.still import Fill, HoldRequest
from holdstill_lvm2 import mapper
from holdstill_lvm2.lvm import LogicalVolume, Lvm
from holdstill_lvm2.snapshots import space
from holdstill_lvm2.snapshots.given_back import GivenBack
from holdstill_lvm2.snapshots.made import made_by
from holdstill_lvm2.snapshots.space import Space
from holdstill_lvm2.snapshots.still import Health


def plan(origin: LogicalVolume, request: HoldRequest) -> Space:
    """What is to be made. Raises ``NoProvider`` for what LVM makes no such snapshot of, and where there is no room."""
    if "snapshot" in origin.roles:
        raise NoProvider("it is a snapshot, and of a snapshot there is none", subject=origin.full_name)
    return space.planned(origin, request.cache_size)


def make(lvm: Lvm, origin: LogicalVolume, planned: Space, back: GivenBack) -> tuple[LogicalVolume, Health]:
    """The snapshot. LVM suspends the origin for a moment, and the kernel freezes the file system: nobody else must."""
    ours = back.ours
    # We watch it ourselves. A dmeventd that this began would carry our run's name, and `recover` would wait for it.
    ran = lvm.change(
        *("lvcreate", "--snapshot", "--ignoremonitoring", "--yes", "--permission", "r"),
        *("--chunksize", f"{space.CHUNK}b", "--extents", str(planned.extents)),
        *("--name", ours.name, "--addtag", ours.tag, origin.full_name),
    )
    made = made_by(ran, lvm, ours, origin)
    back.known(attrs.evolve(ours, uuid=made.uuid))
    # Asked for more than can be used, LVM makes it smaller and does not fail (lv_manip.c, "Reducing COW size").
    if made.size < planned.extents * origin.group.extent_size and not planned.enough:
        raise VolumeUnusable(
            f"LVM made the snapshot's space smaller than it was told: {made.size} bytes", subject=origin.full_name
        )
    return made, ThickHealth(lvm, made, planned)


class ThickHealth(Health):
    """Asks the kernel: LVM would wait for a lock that another command may hold."""

    def __init__(self, lvm: Lvm, made: LogicalVolume, planned: Space) -> None:
        self._lvm = lvm
        self._made = made
        self._extents = planned.extents
        self._enough = planned.enough

    def lost(self) -> str | None:
        """Overflow is for ever: the kernel writes it into the space itself."""
        found = mapper.status(self._lvm, self._made.mapped)
        if found is None:
            return "the snapshot is gone: somebody removed it"
        if found.target != "snapshot":
            return f"the snapshot is no snapshot any more but {found.target or 'nothing'}"
        if mapper.snapshot_fill(found) is None:
            state = " ".join(found.words) or "unknown"
            return (
                f"the snapshot's space overflowed ({state}) while it was read: {self._made.size} bytes did not do;"
                " ask for more with --snapshot-cache-size"
            )
        return None

    def fill(self) -> Fill | None:
        """None as well once it has overflowed."""
        if self._enough:
            return None
        found = mapper.status(self._lvm, self._made.mapped)
        return mapper.snapshot_fill(found) if found is not None else None

    def grow(self) -> bool:
        """By as much again as it had, or by what is left in the group."""
        try:
            group = self._lvm.group(self._made.group.uuid)
            extents = min(self._extents, group.free_extents) if group is not None else 0
            if not extents:
                return False
            return self._lvm.change("lvextend", "--extents", f"+{extents}", self._made.full_name).ok
        except HoldstillError:
            return False
