"""A snapshot that is ours: what is written down of it before it exists, and how it is removed.

The end of a run and ``recover`` go the same way: look first, touch only what is provably ours, and say "gone" only
where LVM was asked and has none, by UUID, by name and by tag.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.holds import Undone, UndoState
from holdstill_lvm2 import mapper
from holdstill_lvm2.lvm import LogicalVolume, Lvm, mapped

KIND: Final = "lvm2.snapshot"
VERSION: Final = 1
#: what LVM takes in a name (lvm(8), "VALID NAMES"); the rest of a run's name becomes a dot
_ODD: Final = re.compile(r"[^A-Za-z0-9.-]")
#: what LVM says of a device that somebody has open
_BUSY: Final = re.compile(r"in use|busy|opened", re.IGNORECASE)
#: after a killed ``lvcreate`` of a thin snapshot LVM 2.03.16 fails to remove it ("Cannot deactivate"), and then does
_ATTEMPTS: Final = 2


@attrs.frozen
class Ours:
    """One snapshot of ours, from before it exists until it is gone."""

    group: str
    group_uuid: str
    origin: str
    origin_uuid: str
    name: str
    tag: str
    uuid: str = ""
    """Known only when it exists."""

    @classmethod
    def of(cls, origin: LogicalVolume, run: str) -> Ours:
        """Named for the run and the origin: several volumes of a group may be held by one run."""
        sane = _ODD.sub(".", run)[:40]
        name = f"holdstill-{sane}-{origin.uuid.replace('-', '')[:6]}"
        group = origin.group
        return cls(group.name, group.uuid, origin.name, origin.uuid, name, f"holdstill-{sane}")

    @classmethod
    def from_line(cls, data: dict[str, str]) -> Ours:
        """What a line of the journal says."""
        return cls(**{field.name: data.get(field.name, "") for field in attrs.fields(cls)})

    def line(self) -> dict[str, str]:
        """For the journal."""
        said = {name: value for name, value in attrs.asdict(self).items() if value}
        return {"what": f"snapshot {self.full_name} of {self.group}/{self.origin}", **said}

    @property
    def full_name(self) -> str:
        """As the tools take it."""
        return f"{self.group}/{self.name}"

    @property
    def by_hand(self) -> str:
        """What an administrator would type."""
        return f"lvremove {self.full_name}"

    def is_it(self, volume: LogicalVolume) -> bool:
        """By name and tag, and by UUID where that is known: names are anybody's."""
        named = volume.name == self.name and self.tag in volume.tags
        return named and (not self.uuid or volume.uuid == self.uuid)

    def found(self, lvm: Lvm) -> LogicalVolume | None:
        """It, if it is there."""
        return next((volume for volume in lvm.volumes(self.group_uuid) if self.is_it(volume)), None)


def undo(lvm: Lvm, ours: Ours) -> Undone:
    """Remove it if it is there and is what was meant. Raises ``VolumeUnusable`` where LVM cannot say."""
    resumed = _resumed(lvm, ours)
    volumes = lvm.volumes(ours.group_uuid)
    if not volumes and lvm.group(ours.group_uuid) is None:
        return Undone(UndoState.UNKNOWN, f"LVM sees no volume group {ours.group} ({ours.group_uuid})")
    found = next((volume for volume in volumes if ours.is_it(volume)), None)
    if found is None:
        return _not_there(ours, volumes, resumed)
    if not _may_go(ours, found):
        return Undone(UndoState.REFUSED, f"{found.full_name} is not the snapshot that was made: {found.attributes}")
    # LVM itself compares once more, under its own lock: between our look and its own anything may happen.
    chosen = f'lv_uuid="{found.uuid}" && lv_name="{ours.name}" && lv_tags="{ours.tag}"'
    for _ in range(_ATTEMPTS):
        ran = lvm.change("lvremove", "--yes", "--force", "-S", chosen, found.group.name)
        if ours.found(lvm) is None:
            return Undone(UndoState.REMOVED, resumed or f"{found.full_name} is removed")
        if not ran.ok and _BUSY.search(ran.err):
            return Undone(UndoState.BUSY, f"{found.full_name}: {ran.said}")
    return Undone(UndoState.UNKNOWN, f"{found.full_name} cannot be removed: {ran.said}")


def _not_there(ours: Ours, volumes: list[LogicalVolume], resumed: str) -> Undone:
    others = [volume for volume in volumes if ours.tag in volume.tags or (ours.uuid and volume.uuid == ours.uuid)]
    if others:
        return Undone(UndoState.REFUSED, f"{others[0].full_name} has our tag or UUID, and another name now")
    return Undone(UndoState.ABSENT, resumed)


def _may_go(ours: Ours, found: LogicalVolume) -> bool:
    """A snapshot of the origin we meant; or what a failed ``lvcreate`` leaves, which never was a snapshot of anything.
    Never what other snapshots hang on.
    """
    if found.is_origin:
        return False
    return found.origin_uuid == ours.origin_uuid or (not ours.uuid and not found.origin)


def _resumed(lvm: Lvm, ours: Ours) -> str:
    """A command that died half-way may leave the origin suspended: everybody who writes to it waits.

    None of our processes lives, and neither the origin nor what hangs on it was suspended before we began (``hold``
    sees to that). Whoever else suspends them has the group's lock meanwhile: we look, wait for that lock, look again.
    """
    prefix = mapped(ours.group_uuid, "")
    if not mapper.suspended(lvm, prefix):
        return ""
    before = _suspended(lvm, ours)
    names = [name for name in _suspended(lvm, ours) if name in before]
    for name in sorted(names, key=lambda name: (not name.endswith(("-real", "-cow")), name)):
        ran = lvm.change("dmsetup", "resume", name)
        if not ran.ok:
            raise VolumeUnusable(f"device {name} is suspended and cannot be resumed: {ran.said}")
    return f"resumed {', '.join(names)}" if names else ""


def _suspended(lvm: Lvm, ours: Ours) -> list[str]:
    """The origin, and what LVM suspends with it: ours, and every other thick snapshot that hangs on it."""
    hanging = [
        volume.mapped
        for volume in lvm.volumes(ours.group_uuid)  # waits for the lock
        if ours.is_it(volume) or (volume.origin_uuid == ours.origin_uuid and not volume.is_thin)
    ]
    return [
        name for uuid in (mapped(ours.group_uuid, ours.origin_uuid), *hanging) for name in mapper.suspended(lvm, uuid)
    ]
