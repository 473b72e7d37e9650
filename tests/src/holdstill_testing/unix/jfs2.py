"""AIX with its logical volumes and file systems: JFS2 that is written to, and snapshots of it that fill."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from holdstill_testing.unix.aix import Aix
from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal
from holdstill_testing.unix.jfs2_texts import TEXTS

#: blocks at the start of a store that hold its own superblock and maps; invented, but for being more than none
RESERVED: Final = 4
#: how many of each a file system may have (AIX commands reference, snapshot)
EXTERNAL, INTERNAL = 15, 64


@attrs.define
class Group:
    """A volume group. ``partition`` in bytes."""

    name: str
    ident: str
    partition: int
    free: int


@attrs.define
class LogicalVolume:
    """A logical volume and its bytes."""

    name: str
    ident: str
    group: Group
    partitions: int
    content: bytearray
    label: str = "None"
    size: int = 0
    """Bytes, if it is said to be larger than ``content`` is: nobody reads the rest."""


@attrs.define(eq=False)
class Snapshot:
    """One of a file system. ``moved``: which block of it lies where in the store, both as numbers of blocks."""

    name: str
    internal: bool
    taken: int
    allocated: frozenset[int]
    store: bytearray
    room: int
    """Blocks in the store, the first of which are its own; of an internal one those that the file system has."""
    moved: dict[int, int] = attrs.field(factory=dict)
    valid: bool = True


@attrs.define(eq=False)
class FileSystem:
    """A JFS2. ``allocated``: which of its blocks are in use."""

    place: str
    volume: LogicalVolume
    block: int
    allocated: set[int]
    internal: bool = False
    """Was it made for internal snapshots?"""
    log: str = "/dev/loglv00"
    snapshots: list[Snapshot] = attrs.field(factory=list)
    """The oldest first."""

    @property
    def blocks(self) -> int:
        """How many it has."""
        return len(self.volume.content) // self.block

    def write(self, number: int, data: bytes) -> None:
        """As the kernel does it, all at once."""
        for _ in self.writing(number, data):
            pass

    def writing(self, number: int, data: bytes) -> Iterator[str]:
        """One write, step by step: what is there is kept first, if the newest snapshot needs it and has not got it."""
        current = self.snapshots[-1] if self.snapshots else None
        if any(each.internal and number in each.moved.values() for each in self.snapshots):
            return  # a snapshot has it: no file does
        if current is not None and current.valid and number in current.allocated and number not in current.moved:
            slot = self._slot(current)
            if slot is None:
                self.abort()
                yield "aborted"
            else:
                self._put(current.store, slot, self.volume.content[number * self.block : (number + 1) * self.block])
                yield "kept"
                current.moved[number] = slot
                yield "recorded"
        self.allocated.add(number)
        half = self.block // 2
        self.volume.content[number * self.block : number * self.block + half] = data[:half]
        yield "half written"
        self.volume.content[number * self.block + half : (number + 1) * self.block] = data[half : self.block]
        yield "written"

    def abort(self) -> None:
        """One ran full: all of them are lost, and who knows what their stores are used for."""
        for each in self.snapshots:
            each.valid = False
            each.moved.clear()
            if not each.internal:
                each.store[:] = b"\xdd" * len(each.store)

    def _slot(self, current: Snapshot) -> int | None:
        if not current.internal:
            taken = RESERVED + len(current.moved)
            return taken if taken < current.room else None
        free = (each for each in range(self.blocks) if each not in self.allocated and each not in current.allocated)
        slot = next(free, None)
        if slot is not None:
            self.allocated.add(slot)
        return slot

    def _put(self, store: bytearray, slot: int, data: bytes | bytearray) -> None:
        store[slot * self.block : (slot + 1) * self.block] = data


class Jfs2(Aix):
    """Its commands, and those of logical volumes, file systems and snapshots."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.volumes: dict[str, LogicalVolume] = {}
        self.filesystems: dict[str, FileSystem] = {}
        self._numbers = itertools.count(1)

    # --- what is there --------------------------------------------------------------------------

    def group(self, name: str, partition: int, free: int) -> Group:
        """A new volume group."""
        made = Group(name, f"00f6f42a00004c00000001{len(self.groups):010x}", partition, free)
        self.groups[name] = made
        return made

    def volume(self, name: str, group: Group, partitions: int, content: bytearray | None = None) -> LogicalVolume:
        """A new logical volume."""
        group.free -= partitions
        ident = f"{group.ident}.{next(self._numbers)}"
        made = LogicalVolume(name, ident, group, partitions, content or bytearray(partitions * group.partition))
        self.volumes[name] = made
        return made

    def filesystem(self, host: Host, made: FileSystem) -> FileSystem:
        """A new file system, mounted."""
        self.filesystems[made.place] = made
        host.mounted.append(Mounted(f"/dev/{made.volume.name}", made.place, "jfs2", f"rw,log={made.log}"))
        return made

    def everything(self) -> set[str]:
        """All volumes and snapshots, by name: what could be left behind, or be missing."""
        of_filesystems = {
            f"snapshot {each.name} of {place}" for place, fs in self.filesystems.items() for each in fs.snapshots
        }
        return {f"{each.name} {each.ident}" for each in self.volumes.values()} | of_filesystems

    # --- commands -------------------------------------------------------------------------------

    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("lsvg", "-l", name) if name in self.groups:
                rows = [self._member(host, each) for each in self.volumes.values() if each.group.name == name]
                return _said("members", rows="\n".join(rows), group=name)
            case ("lsvg", name) if name in self.groups:
                group = self.groups[name]
                size = group.partition >> 20
                return _said(
                    "group", name=name, ident=group.ident, size=size, free=group.free, megabytes=group.free * size
                )
            case ("lsvg", *_):
                raise Refusal(TEXTS["no group"], name=argv[-1])
            case ("lslv", name):
                return self._lslv(host, name)
            case ("lsfs", "-cq", place):
                return self._lsfs(place)
            case ("mklv", "-t", "jfs2", "-y", name, "-L", label, group_name, count):
                return self._mklv(name, label, group_name, int(count))
            case ("rmlv", "-f", name):
                return self._rmlv(host, name)
            case ("snapshot", *words):
                return self._snapshot(host, words)
            case ("chfs", "-a", attribute, place) if attribute.startswith("refreeze="):
                return self._refreeze(host, int(attribute.removeprefix("refreeze=")), place)
        return super().act(host, argv)

    def _member(self, host: Host, volume: LogicalVolume) -> str:
        mounted = host.at(f"/dev/{volume.name}")
        return TEXTS["member"].say(
            name=volume.name,
            partitions=volume.partitions,
            state="open/syncd" if mounted else "closed/syncd",
            place=mounted.place if mounted else "N/A",
        )

    def _lslv(self, host: Host, name: str) -> Answer:
        volume = self._volume(name)
        mounted = host.at(f"/dev/{name}")
        return _said(
            "labelled volume",
            name=name,
            group=volume.group.name,
            ident=volume.ident,
            state="open/syncd" if mounted else "closed/syncd",
            size=volume.group.partition >> 20,
            partitions=volume.partitions,
            place=mounted.place if mounted else "N/A",
            label=volume.label,
        )

    def _lsfs(self, place: str) -> Answer:
        fs = self._filesystem(place)
        size = (fs.volume.size or len(fs.volume.content)) // 512
        return _said(
            "filesystem",
            place=place,
            device=f"/dev/{fs.volume.name}",
            size=size,
            block=fs.block,
            inline="yes" if fs.log == "INLINE" else "no",
            internal="yes" if fs.internal else "no",
        )

    def _mklv(self, name: str, label: str, group_name: str, count: int) -> Answer:
        group = self.groups[group_name]
        if name in self.volumes or len(name) > 15:
            raise Refusal(TEXTS["name taken"], name=name)
        if count > group.free:
            raise Refusal(TEXTS["no room"])
        self.volume(name, group, count).label = label
        return _said("made", name=name)

    def _rmlv(self, host: Host, name: str) -> Answer:
        volume = self._volume(name)
        if host.at(f"/dev/{name}") or self._owner(name):
            raise Refusal(TEXTS["open"], name=name)
        self._gone(volume)
        return _said("removed", name=name)

    def _gone(self, volume: LogicalVolume) -> None:
        volume.group.free += volume.partitions
        del self.volumes[volume.name]

    def _volume(self, name: str) -> LogicalVolume:
        if name not in self.volumes:
            raise Refusal(TEXTS["unknown volume"], name=name)
        return self.volumes[name]

    def _filesystem(self, place: str) -> FileSystem:
        if place not in self.filesystems:
            raise Refusal(TEXTS["no filesystem"], place=place)
        return self.filesystems[place]

    def _owner(self, name: str) -> tuple[FileSystem, Snapshot] | None:
        """Whose external snapshot is on this volume."""
        for fs in self.filesystems.values():
            for each in fs.snapshots:
                if not each.internal and each.name == name:
                    return fs, each
        return None

    # --- snapshots ------------------------------------------------------------------------------

    def _snapshot(self, host: Host, words: Sequence[str]) -> Answer:
        match tuple(words):
            case ("-q", place):
                return self._query(self._filesystem(place))
            case ("-o", source, "-n", name) if source.startswith("snapfrom="):
                return self._make_internal(host, source.removeprefix("snapfrom="), name)
            case ("-o", source, device) if source.startswith("snapfrom="):
                return self._make_external(host, source.removeprefix("snapfrom="), device.removeprefix("/dev/"))
            case ("-o", size, device) if size.startswith("size="):
                return self._grow(device.removeprefix("/dev/"), int(size.removeprefix("size=")))
            case ("-d", "-n", name, place):
                fs = self._filesystem(place)
                return self._delete(
                    fs, next((each for each in fs.snapshots if each.internal and each.name == name), None)
                )
            case ("-d", device):
                found = self._owner(device.removeprefix("/dev/"))
                if found is None:
                    raise Refusal(TEXTS["no snapshot"], name=device)
                return self._delete(*found)
        raise KeyError("snapshot")

    def _make_external(self, host: Host, place: str, name: str) -> Answer:
        fs, volume = self._filesystem(place), self._volume(name)
        if self._owner(name) or host.at(f"/dev/{name}") or any(each.internal for each in fs.snapshots):
            raise Refusal(TEXTS["refused"], place=place)
        if len(fs.snapshots) >= EXTERNAL:
            raise Refusal(TEXTS["refused"], place=place)
        room = len(volume.content) // fs.block
        self._take(
            host, fs, Snapshot(name, internal=False, taken=0, allocated=frozenset(), store=volume.content, room=room)
        )
        return _said("external made", place=place, name=name)

    def _make_internal(self, host: Host, place: str, name: str) -> Answer:
        fs = self._filesystem(place)
        if not fs.internal or len(fs.snapshots) >= INTERNAL or any(not each.internal for each in fs.snapshots):
            raise Refusal(TEXTS["refused"], place=place)
        if any(each.name == name for each in fs.snapshots):
            raise Refusal(TEXTS["refused"], place=place)
        made = Snapshot(name, internal=True, taken=0, allocated=frozenset(), store=fs.volume.content, room=fs.blocks)
        self._take(host, fs, made)
        return _said("internal made", place=place, name=name)

    def _take(self, host: Host, fs: FileSystem, made: Snapshot) -> None:
        made.taken = host.clock
        made.allocated = frozenset(fs.allocated)
        fs.snapshots.append(made)

    def _grow(self, name: str, size: int) -> Answer:
        found = self._owner(name)
        if found is None:
            raise Refusal(TEXTS["no snapshot"], name=name)
        volume, (fs, kept) = self.volumes[name], found
        more = -(-size * 512 // volume.group.partition) - volume.partitions
        if more <= 0 or more > volume.group.free:
            raise Refusal(TEXTS["no room"])
        volume.group.free -= more
        volume.partitions += more
        volume.content.extend(bytes(more * volume.group.partition))
        kept.room = len(volume.content) // fs.block
        return _said("grown", name=name)

    def _delete(self, fs: FileSystem, found: Snapshot | None) -> Answer:
        if found is None:
            raise Refusal(TEXTS["no snapshot"], name=fs.place)
        for each in fs.snapshots[: fs.snapshots.index(found) + 1]:
            fs.snapshots.remove(each)
            if each.internal:
                fs.allocated -= set(each.moved.values())
            else:
                self._gone(self.volumes[each.name])
        return _said("deleted", name=found.name)

    def _query(self, fs: FileSystem) -> Answer:
        if not fs.snapshots:
            return _said("none", place=fs.place)
        kind = "internal rows" if fs.snapshots[0].internal else "external rows"
        rows = [_row(each, fs, newest=each is fs.snapshots[-1]) for each in fs.snapshots]
        return _said(kind, place=fs.place, rows="\n".join(rows))

    def _refreeze(self, host: Host, seconds: int, place: str) -> Answer:
        if place not in host.locked:
            raise Refusal(TEXTS["not frozen"], place=place)
        host.locked[place] = host.clock + seconds
        return Answer()


def _row(kept: Snapshot, fs: FileSystem, *, newest: bool) -> str:
    mark = "*" if newest else " "
    taken = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(kept.taken))
    suffix = "" if kept.valid else " INVALID"
    if kept.internal:
        return f"{mark}        {kept.name:12} {taken}{suffix}"
    unit = fs.block // 512
    free = kept.room - RESERVED - len(kept.moved) if kept.valid else 0
    return f"{mark}        /dev/{kept.name:12} {kept.room * unit:>12} {free * unit:>11} {taken}{suffix}"


def _said(text: str, /, **fields: object) -> Answer:
    return Answer(TEXTS[text].say(**fields) + "\n")
