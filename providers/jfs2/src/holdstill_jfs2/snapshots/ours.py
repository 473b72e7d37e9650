"""A snapshot that is ours: what is written down of it before it exists, and how it is removed.

The end of a run and ``recover`` go the same way: look first, touch only what is provably ours, and say "gone" only
where the system was asked and has none. To delete a snapshot is to delete all older ones of its file system as well
(AIX commands reference, snapshot, ``-d``): while somebody else's are older, ours stays.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill_jfs2.commands import Aix, Kept, LogicalVolume

KIND: Final = "jfs2.snapshot"
VERSION: Final = 1
#: what a command says of a device that somebody has open
_BUSY: Final = re.compile(r"busy|open|in use", re.IGNORECASE)


@attrs.frozen
class Ours:
    """One snapshot of ours, from before it exists until it is gone."""

    place: str
    origin: str
    """The logical volume that is snapped."""
    group: str
    group_ident: str
    name: str
    """Of the snapshot's logical volume; of an internal one its own."""
    label: str
    internal: str = ""
    ident: str = ""
    """Of the snapshot's logical volume, as soon as it exists."""

    @classmethod
    def of(cls, place: str, origin: LogicalVolume, group_ident: str, run: str, *, internal: bool) -> Ours:
        """Named for the run and the origin. A name of AIX has at most 15 characters."""
        name = "hs" + hashlib.sha256(f"{run} {origin.ident}".encode()).hexdigest()[:13]
        sane = re.sub(r"[^A-Za-z0-9.-]", ".", run)[:40]
        label = f"holdstill-{sane}"
        return cls(place, origin.name, origin.group, group_ident, name, label, "yes" if internal else "")

    @classmethod
    def from_line(cls, data: dict[str, str]) -> Ours:
        """What a line of the journal says."""
        return cls(**{field.name: data.get(field.name, "") for field in attrs.fields(cls)})

    def line(self) -> dict[str, str]:
        """For the journal."""
        said = {name: value for name, value in attrs.asdict(self).items() if value}
        return {"what": f"snapshot {self.name} of {self.place}", **said}

    @property
    def by_hand(self) -> str:
        """What an administrator would type, knowing what else it deletes."""
        target = f"-n {self.name} {self.place}" if self.internal else f"/dev/{self.name}"
        return f"snapshot -d {target}   # deletes all older snapshots of {self.place} too"

    def among(self, kept: list[Kept]) -> Kept | None:
        """It, in the list of its file system's."""
        found = (each for each in kept if each.name == self.name and each.internal is bool(self.internal))
        return next(found, None)

    def is_it(self, volume: LogicalVolume) -> bool:
        """By its identifier; before that was known by its label, which nobody else gives."""
        same = volume.ident == self.ident if self.ident else volume.label == self.label
        return same and volume.name == self.name and volume.group == self.group


@attrs.define
class Written:
    """What the journal has of it; more, as soon as more is known."""

    ours: Ours
    line: Hold

    def known(self, ident: str) -> None:
        """Its volume exists, and this is its identifier."""
        self.line.update(ident=ident)
        self.ours = attrs.evolve(self.ours, ident=ident)


def endangered(mine: Kept, kept: list[Kept]) -> list[str]:
    """Whose snapshots would go with ours: all that are not surely newer."""
    return [each.name for each in kept if each is not mine and not each.surely_newer_than(mine)]


def undo(aix: Aix, ours: Ours) -> Undone:
    """Remove it if it is there and is what was meant. Raises ``VolumeUnusable`` where the system cannot say."""
    if aix.group(ours.group).ident != ours.group_ident:
        return Undone(UndoState.REFUSED, f"volume group {ours.group} is another one now")
    said = ""
    for _ in range(2):  # what was a snapshot may leave its volume behind
        todo = _next(aix, ours)
        if isinstance(todo, Undone):
            return attrs.evolve(todo, state=UndoState.REMOVED) if said and todo.state is UndoState.ABSENT else todo
        said = todo
    left = _next(aix, ours, look_only=True)
    if isinstance(left, Undone):
        return attrs.evolve(left, state=UndoState.REMOVED) if left.state is UndoState.ABSENT else left
    return Undone(UndoState.BUSY if _BUSY.search(said) else UndoState.UNKNOWN, f"{ours.name} is still there: {said}")


def _next(aix: Aix, ours: Ours, *, look_only: bool = False) -> Undone | str:
    """One step: what a command said, or how it stands."""
    members = aix.members(ours.group)
    mine, kept = _listed(aix, ours, members)
    there = not ours.internal and ours.name in members
    if mine is None and not there:
        return Undone(UndoState.ABSENT, f"{ours.name} is gone")
    if not ours.internal:
        if not there:
            return Undone(UndoState.UNKNOWN, f"{ours.place} lists snapshot {ours.name}, and its volume is gone")
        if not ours.is_it(aix.volume(ours.name)):
            return Undone(UndoState.REFUSED, f"logical volume {ours.name} is not the one that was made")
    if mine is not None and (older := endangered(mine, kept)):
        return Undone(UndoState.REFUSED, f"to delete {ours.name} would delete what others made: {', '.join(older)}")
    if look_only:
        return ""
    if mine is None:
        return aix.remove_volume(ours.name).said
    if ours.internal:
        return aix.delete_internal(ours.place, ours.name).said
    return aix.delete_external(ours.name).said


def _listed(aix: Aix, ours: Ours, members: set[str]) -> tuple[Kept | None, list[Kept]]:
    """Ours, and all that the file system has. One whose volume is gone has none."""
    if ours.origin not in members:
        return None, []
    if aix.filesystem(ours.place).device != f"/dev/{ours.origin}":
        raise VolumeUnusable(f"{ours.place} is another file system than the one of {ours.origin} now")
    kept = aix.snapshots(ours.place)
    return ours.among(kept), kept
