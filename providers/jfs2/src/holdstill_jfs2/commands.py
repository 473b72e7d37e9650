"""The commands of AIX and what they print. The only file that knows their names.

Sources: the commands reference of AIX (snapshot, chfs, lsfs, lslv, lsvg, mklv, rmlv); for what lists print, the
projects opensvc and ansible-power-aix. What ``snapshot -q`` prints is recalled and was never seen
(docs/explanation/unproven.md). So everything is taken by its headings, and what is not understood is an error that
shows it, and never an absence.
"""

from __future__ import annotations

import re
import time
from typing import Final, NoReturn

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.runner import Ran, Runner

#: what only looks is ended after so many seconds
_LIMIT: Final = 120.0
#: so much of what is not understood is shown
_SHOWN: Final = 1500
_EXTERNAL: Final = ["Current", "Location", "512-blocks", "Free", "Time"]
_INTERNAL: Final = ["Current", "Name", "Time"]
_MEMBERS: Final = ["LV", "NAME", "TYPE", "LPs", "PPs", "PVs", "LV", "STATE", "MOUNT", "POINT"]
_SECTOR: Final = 512
#: headings of ``lslv``, one of which is the end of another
_FIELD: Final = re.compile(
    r"(LOGICAL VOLUME|VOLUME GROUP|LV IDENTIFIER|PP SIZE|(?<!MAX )LPs|LABEL):[ \t]+(\S*(?: megabyte\(s\))?)"
)


@attrs.frozen
class Group:
    """A volume group. ``partition`` in bytes; ``free`` partitions."""

    name: str
    ident: str
    partition: int
    free: int


@attrs.frozen
class LogicalVolume:
    """A logical volume. ``size`` in bytes."""

    name: str
    ident: str
    group: str
    size: int
    label: str


@attrs.frozen
class FileSystem:
    """A JFS2, as it is known to the system."""

    place: str
    device: str
    block: int
    """Bytes."""
    internal: bool
    """Was it made for internal snapshots?"""


@attrs.frozen
class Kept:
    """A snapshot in the list of its file system's. Bytes; an internal one has no sizes."""

    name: str
    """Of its logical volume, or its own."""
    internal: bool
    current: bool
    """Is it the newest?"""
    taken: str
    valid: bool
    size: int = 0
    free: int = 0

    @property
    def full(self) -> bool:
        """Has it no room for one block more?"""
        return not self.internal and self.free <= 0

    def surely_newer_than(self, other: Kept) -> bool:
        """Is it beyond doubt? What the list does not say is no."""
        if other.current:
            return False
        mine, theirs = _when(self.taken), _when(other.taken)
        return self.current or (mine is not None and theirs is not None and mine > theirs)


@attrs.frozen
class Aix:
    """The commands, started by ``runner``. ``patient``: no question is ended or cancelled, for giving back."""

    runner: Runner
    patient: bool = False

    # --- what is there --------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        """A volume group. Raises ``VolumeUnusable`` if the system cannot say."""
        text = self._text("lsvg", name)
        ident = re.search(r"VG IDENTIFIER:\s+(\S+)", text)
        size = re.search(r"PP SIZE:\s+(\d+) megabyte\(s\)", text)
        free = re.search(r"FREE PPs:\s+(\d+)", text)
        if not (ident and size and free):
            _not_understood(("lsvg", name), text, "it has no VG IDENTIFIER, PP SIZE in megabyte(s) and FREE PPs")
        return Group(name, ident[1], int(size[1]) << 20, int(free[1]))

    def members(self, group: str) -> set[str]:
        """The names of the logical volumes of a group. Raises as ``group`` does."""
        argv = ("lsvg", "-l", group)
        text = self._text(*argv)
        lines = [line.split() for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or lines[0] != [f"{group}:"] or lines[1] != _MEMBERS:
            _not_understood(argv, text, "its headings are others")
        if any(len(words) < 7 or not words[2].isdecimal() for words in lines[2:]):
            _not_understood(argv, text, "a row is no logical volume")
        return {words[0] for words in lines[2:]}

    def volume(self, name: str) -> LogicalVolume:
        """A logical volume. Raises as ``group`` does, also if there is none."""
        text = self._text("lslv", name)
        found = dict(_FIELD.findall(text))
        size = re.fullmatch(r"(\d+) megabyte\(s\)", found.get("PP SIZE", ""))
        count, ident, group = found.get("LPs", ""), found.get("LV IDENTIFIER"), found.get("VOLUME GROUP")
        if found.get("LOGICAL VOLUME") != name or size is None or not count.isdecimal() or not ident or not group:
            _not_understood(("lslv", name), text, "it has no LV IDENTIFIER, VOLUME GROUP, LPs and PP SIZE of it")
        return LogicalVolume(name, ident, group, int(count) * int(size[1]) << 20, found.get("LABEL", ""))

    def filesystem(self, place: str) -> FileSystem:
        """The JFS2 that is mounted at a place. Raises as ``group`` does."""
        argv = ("lsfs", "-cq", place)
        text = self._text(*argv)
        lines = text.splitlines()
        heading = lines[0].removeprefix("#").split(":") if lines else []
        row = dict(zip(heading, lines[1].split(":"), strict=False)) if len(lines) == 3 else {}
        more = lines[2].strip().removeprefix("(").removesuffix(")").split(":") if row else []
        said = dict(each.strip().rpartition(" ")[::2] for each in more)
        block = said.get("block size", "")
        if row.get("MountPoint") != place or row.get("Vfs") != "jfs2" or not block.isdecimal() or int(block) < _SECTOR:
            _not_understood(argv, text, "it is not the row of a jfs2 and a line with its block size")
        if said.get("ISNAPSHOT") not in ("yes", "no"):
            _not_understood(argv, text, "it does not say ISNAPSHOT yes or no")
        return FileSystem(place, row.get("Device", ""), int(block), said["ISNAPSHOT"] == "yes")

    def snapshots(self, place: str) -> list[Kept]:
        """All snapshots of the file system at a place. Raises as ``group`` does."""
        argv = ("snapshot", "-q", place)
        text = self._text(*argv)
        lines = [line for line in text.splitlines() if line.strip()]
        heads = [number for number, line in enumerate(lines) if line.split() in (_EXTERNAL, _INTERNAL)]
        if not heads and len(lines) == 1 and place in lines[0] and re.search(r"\bhas no snapshots\b", lines[0]):
            return []
        if len(heads) != 1:
            _not_understood(argv, text, "it has not one heading of snapshots")
        internal = lines[heads[0]].split() == _INTERNAL
        found = [_internal(line) if internal else _external(line) for line in lines[heads[0] + 1 :]]
        kept = [each for each in found if each is not None]
        if len(kept) != len(found) or (kept and sum(each.current for each in kept) != 1):
            _not_understood(argv, text, "a row is no snapshot, or not one of them is the current one")
        return kept

    # --- changes --------------------------------------------------------------------------------

    def make_volume(self, name: str, label: str, group: str, count: int) -> Ran:
        """A logical volume of ``count`` partitions."""
        return self.runner.change(("mklv", "-t", "jfs2", "-y", name, "-L", label, group, str(count)))

    def remove_volume(self, name: str) -> Ran:
        """Without a question."""
        return self.runner.change(("rmlv", "-f", name))

    def make_external(self, place: str, volume: str) -> Ran:
        """A snapshot in a logical volume that is there."""
        return self.runner.change(("snapshot", "-o", f"snapfrom={place}", f"/dev/{volume}"))

    def make_internal(self, place: str, name: str) -> Ran:
        """A snapshot in the file system itself."""
        return self.runner.change(("snapshot", "-o", f"snapfrom={place}", "-n", name))

    def delete_external(self, volume: str) -> Ran:
        """This snapshot, **and all older ones of its file system**, with their volumes."""
        return self.runner.change(("snapshot", "-d", f"/dev/{volume}"))

    def delete_internal(self, place: str, name: str) -> Ran:
        """This snapshot, **and all older ones of its file system**."""
        return self.runner.change(("snapshot", "-d", "-n", name, place))

    def grow(self, volume: str, size: int) -> Ran:
        """Make an external snapshot's space so many bytes large."""
        return self.runner.change(("snapshot", "-o", f"size={size // _SECTOR}", f"/dev/{volume}"))

    def freeze(self, place: str, seconds: int) -> Ran:
        """Hold the writers for so long."""
        return self.runner.change(("chfs", "-a", f"freeze={seconds}", place))

    def refreeze(self, place: str, seconds: int) -> Ran:
        """From now on for so long."""
        return self.runner.change(("chfs", "-a", f"refreeze={seconds}", place))

    def thaw(self, place: str) -> Ran:
        """Let the writers go on."""
        return self.runner.change(("chfs", "-a", "freeze=off", place))

    def _text(self, *argv: str) -> str:
        ran = self.runner.change(argv) if self.patient else self.runner.ask(argv, limit=_LIMIT)
        if not ran.ok:
            raise VolumeUnusable(f"`{' '.join(argv)}` failed: {ran.said}", next_step="find out why, then try again")
        return ran.out


def _external(line: str) -> Kept | None:
    words = line.split()
    current = words[0] == "*"
    rest = words[current:]
    if len(rest) < 4 or not rest[0].startswith("/dev/") or not (rest[1].isdecimal() and rest[2].isdecimal()):
        return None
    taken, valid = _taken(rest[3:])
    size, free = int(rest[1]) * _SECTOR, int(rest[2]) * _SECTOR
    return Kept(rest[0].removeprefix("/dev/"), False, current, taken, valid, size, free)


def _internal(line: str) -> Kept | None:
    words = line.split()
    current = words[0] == "*"
    rest = words[current:]
    if len(rest) < 2:
        return None
    return Kept(rest[0], True, current, *_taken(rest[1:]))


def _taken(words: list[str]) -> tuple[str, bool]:
    """When it was made; and whether nothing says that it is lost."""
    valid = [word for word in words if "INVALID" not in word.upper()]
    return " ".join(valid), valid == words


def _when(taken: str) -> float | None:
    """Only to be compared with another one of the same list."""
    try:
        return time.mktime(time.strptime(taken, "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return None


def _not_understood(argv: tuple[str, ...], text: str, why: str) -> NoReturn:
    raise VolumeUnusable(
        f"what `{' '.join(argv)}` prints is not understood: {why}; it printed: {text[:_SHOWN]!r}",
        next_step="send us that text with the release of the system",
    )
