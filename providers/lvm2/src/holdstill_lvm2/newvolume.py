"""A logical volume that is made for a restore, and goes again if that is not to be."""

from __future__ import annotations

import re
from typing import Final

import attrs

from holdstill.errors import LeftHeld, RestoreRefused, VolumeMissing
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill.spi.newvolume import NewVolume
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest
from holdstill_lvm2.lvm import Group, LogicalVolume, Lvm

KIND: Final = "lvm2.new-volume"
VERSION: Final = 1
#: lvm(8), "Valid names"
_NAME: Final = re.compile(r"([A-Za-z0-9_+.][A-Za-z0-9_+.-]*)/([A-Za-z0-9_+.][A-Za-z0-9_+.-]*)")


@attrs.frozen
class NewLogicalVolume(NewVolume):
    """One that stands, with our tag on it."""

    path: str
    full_name: str
    data: dict[str, str]
    hold: Hold
    lvm: Lvm

    def keep(self) -> None:
        """Nothing undoes it any more, whatever comes; then the tag, which nobody looks for now, goes too."""
        self.hold.drop()
        self.lvm.change("lvchange", "--deltag", self.data["tag"], self.full_name)

    def remove(self) -> None:
        """See ``NewVolume``."""
        undone = undo(VERSION, self.data, self.lvm.runner)
        if undone.state not in (UndoState.REMOVED, UndoState.ABSENT):
            raise LeftHeld(
                f"the volume that was made for this restore is still there: {undone.detail}",
                subject=self.path,
                next_step=f"lvremove {self.full_name}",
            )
        self.hold.drop()


def create(name: str, size: int, request: HoldRequest) -> NewLogicalVolume | None:
    """Make ``group/name`` of at least ``size`` bytes. None for what is no such name. Raises ``VolumeMissing`` for a
    group that there is not, ``RestoreRefused`` for too little room, or for what LVM says.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    lvm = Lvm(request.runner, patient=True)
    group = _group(lvm, match[1])
    extents = _enough(group, name, size)
    data = {"vg": group.name, "vg_uuid": group.uuid, "lv": match[2], "tag": f"holdstill_new_{request.run}"}
    hold = request.holds.hold(KIND, data, by_hand=f"lvremove {name}", version=VERSION)
    words = ("--yes", "--wipesignatures", "n", "--addtag", data["tag"], "--extents", str(extents), "--name", match[2])
    ran = lvm.change("lvcreate", *words, group.name)
    made = NewLogicalVolume(f"/dev/{name}", name, data, hold, lvm)
    if not ran.ok:
        made.remove()
        raise RestoreRefused(f"LVM cannot make it: {ran.said}", subject=name, next_step="nothing was written")
    return made


def undo(version: int, data: dict[str, str], runner: Runner) -> Undone:
    """Remove what carries our tag under our name, and nothing else. A group that is not to be seen is not absence."""
    if version != VERSION:
        return Undone(UndoState.UNKNOWN, f"this release does not know version {version} of {KIND}")
    lvm = Lvm(runner, patient=True)
    if lvm.group(data["vg_uuid"]) is None:
        return Undone(UndoState.UNKNOWN, f"LVM sees no volume group {data['vg']} ({data['vg_uuid']})")
    tagged = [each for each in lvm.volumes(data["vg_uuid"]) if data["tag"] in each.tags]
    if not tagged:
        return Undone(UndoState.ABSENT)
    if len(tagged) > 1 or not _is_ours(tagged[0], data):
        names = ", ".join(each.full_name for each in tagged)
        return Undone(UndoState.REFUSED, f"{names} carries our tag, but is not what was made")
    # LVM compares once more, under its own lock: between our look and its own anything may happen.
    chosen = f'lv_uuid="{tagged[0].uuid}" && lv_name="{data["lv"]}" && lv_tags="{data["tag"]}"'
    ran = lvm.change("lvremove", "--yes", "-S", chosen, tagged[0].group.name)
    if any(volume.uuid == tagged[0].uuid for volume in lvm.volumes(data["vg_uuid"])):
        return Undone(UndoState.BUSY, ran.said)
    return Undone(UndoState.REMOVED, tagged[0].full_name)


def _is_ours(volume: LogicalVolume, data: dict[str, str]) -> bool:
    return volume.name == data["lv"] and not volume.is_origin


def _group(lvm: Lvm, name: str) -> Group:
    ran = lvm.ask("vgs", "--noheadings", "-o", "vg_uuid", name)
    group = lvm.group(ran.out.strip()) if ran.ok else None
    if group is None:
        raise VolumeMissing(f"LVM has no such volume group: {ran.said}", subject=name, next_step="`vgs` lists them")
    return group


def _enough(group: Group, name: str, size: int) -> int:
    """The extents that it takes. Raises ``RestoreRefused`` if the group has not as many."""
    needed = max(1, -(-size // group.extent_size))
    if needed > group.free_extents:
        raise RestoreRefused(
            f"too little room in volume group {group.name}: it has {group.free_extents * group.extent_size} bytes free,"
            f" and the volume takes {needed * group.extent_size}",
            subject=name,
            next_step="make room there, or name another group; nothing was written",
        )
    return needed
