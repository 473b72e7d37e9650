"""What ``lvcreate`` made, looked at before it is believed."""

from __future__ import annotations

from holdstill.errors import VolumeUnusable
from holdstill.spi.runner import Ran
from holdstill_lvm2.lvm import LogicalVolume, Lvm
from holdstill_lvm2.snapshots.ours import Ours


def made_by(ran: Ran, lvm: Lvm, ours: Ours, origin: LogicalVolume) -> LogicalVolume:
    """What ``lvcreate`` made. Raises ``VolumeUnusable`` unless it is an active snapshot of the origin."""
    made = ours.found(lvm)
    if not ran.ok or made is None:
        raise VolumeUnusable(
            f"LVM makes no snapshot of it: {ran.said}",
            subject=origin.full_name,
            next_step="nothing was read; what was half made is removed",
        )
    if made.origin_uuid != origin.uuid or not made.is_active or made.attributes[4] != "a":
        raise VolumeUnusable(f"the snapshot is not usable: {made.attributes}", subject=made.full_name)
    return made
