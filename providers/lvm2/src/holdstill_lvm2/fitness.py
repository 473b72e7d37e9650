"""What stands against touching a volume, as LVM tells it: vg_attr and lv_attr are those of vgs(8) and lvs(8)."""

from __future__ import annotations

from typing import Final

from holdstill_lvm2.lvm import LogicalVolume

EXPORTED: Final = "its volume group is exported"


def unfit(found: LogicalVolume) -> str | None:
    """Why nothing is made of it or of its group, a sentence; None: nothing stands against it."""
    group = found.group_attributes
    if group[2:3] == "x":
        return EXPORTED
    if group[3:4] == "p" or found.missing_disks:
        return f"{found.missing_disks} disks of its volume group are missing"
    if group[5:6] in ("c", "s"):
        return "its volume group is shared with other hosts"
    if group[0:1] == "r":
        return "its volume group is read-only"
    if "public" not in found.roles:
        return f"it is a hidden part of another volume ({', '.join(found.roles)})"
    return None
