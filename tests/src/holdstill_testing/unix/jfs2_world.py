"""A JFS2 on a simulated AIX, as the engine sees it: its volume, its raw devices, and the kernel that is asked."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from typing import Any, Final

import attrs

from holdstill.errors import VolumeMissing, VolumeUnusable
from holdstill.model.buffers import Room
from holdstill.model.volume import Mount, VolumeFacts, VolumeKind
from holdstill.spi.reader import Reader
from holdstill.spi.still import HoldRequest
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer
from holdstill_testing.fakes.recorded_holds import RecordedHolds
from holdstill_testing.torture import dice
from holdstill_testing.unix.host import Host
from holdstill_testing.unix.jfs2 import FileSystem, Jfs2, Snapshot
from holdstill_testing.unix.runner import SimulatedRunner

#: the file system of every world
PLACE: Final = "/data"
#: bytes: of a volume's partition, and at least of a JFS2, so that it has a superblock
PARTITION, LEAST = 1 << 20, 0x9000


class World:
    """One host with one JFS2 that a test is about, and others that must not notice.

    ``tick`` is called before each thing that a reader or the kernel does: there others go on.
    """

    def __init__(
        self,
        block: int = 4096,
        blocks: int = 24,
        *,
        internal: bool = False,
        log: int = 0,
        image: tuple[bytearray, set[int]] | None = None,
    ) -> None:
        """``log``: so many blocks at the end are a log inside the file system. ``image``: a whole one in place of
        noise with a superblock, and which of its blocks are in use.
        """
        self.system = Jfs2()
        self.host = Host(self.system)
        self.group = self.system.group("datavg", PARTITION, 40)
        content, used = image or _noise(block, blocks, log)
        volume = self.system.volume("fslv00", self.group, max(2, -(-len(content) // PARTITION)), content)
        made = FileSystem(PLACE, volume, block, used, internal, "INLINE" if log else "/dev/loglv00")
        self.fs = self.system.filesystem(self.host, made)
        other = self.system.volume("fslv01", self.group, 1, bytearray(LEAST))
        self.other = self.system.filesystem(self.host, FileSystem("/other", other, 4096, {0, 1, 2}))
        self.foreign("fslv02", self.other)
        self.before = self.system.everything()
        self.tick: Callable[[], None] = lambda: None

    def foreign(self, name: str, fs: FileSystem) -> Snapshot:
        """Somebody else makes a snapshot, in a volume of this name."""
        self.host.pass_time(1)
        self.system.volume(name, self.group, 1)
        made = Snapshot(name, False, 0, frozenset(), self.system.volumes[name].content, PARTITION // fs.block)
        self.system._take(self.host, fs, made)  # what the command does, and nobody counts it
        self.host.pass_time(1)
        return made

    @property
    def ours(self) -> set[str]:
        """What exists now, and did not when this world began."""
        return self.system.everything() - self.before

    def volume(self) -> Volume:
        """The volume, as a platform has it."""
        return SimulatedVolume(self, "fslv00")

    def find(self, path: str) -> Volume:
        """Any volume of the host."""
        name = path.removeprefix("/dev/")
        if name not in self.system.volumes:
            raise VolumeMissing("there is no such volume", subject=path)
        return SimulatedVolume(self, name)

    def request(self, holds: RecordedHolds | None = None, **more: Any) -> HoldRequest:
        """For a snapshot that is allowed to be asked about, in two partitions."""
        asked: dict[str, Any] = {
            "run": "0123456789abcdef",
            "holds": holds or RecordedHolds(),
            "runner": SimulatedRunner(self.host),
            "find": self.find,
            "cache_size": "2M",
            "settings": {"jfs2.extents": "fscntl"},
        }
        return HoldRequest(**asked | more)

    # --- the kernel: what stands in the place of holdstill_jfs2.moved.kernel --------------------

    def vfs_of(self, place: str) -> int:
        """The number of a mount."""
        return list(self.system.filesystems).index(place) + 7

    def inode_of(self, place: str) -> int:
        """Of the root directory."""
        return self.vfs_of(place) - 5

    def device_of(self, path: str) -> int:
        """The number of a device."""
        return list(self.system.volumes).index(path.removeprefix("/dev/")) + (10 << 32)

    def extentinfo(self, vfs: int, command: int, head: bytearray, extents: bytearray) -> None:
        """As the headers j2/j2_cntl.h and j2_snapshot.h have it, in the order of bytes of this host."""
        self.tick()
        fs = list(self.system.filesystems.values())[vfs - 7]
        kind, count, flags = struct.unpack_from("=Iii", head)
        length = struct.unpack_from("=h", head, 24)[0]
        name = bytes(head[26 : 26 + length]).decode().removeprefix("/dev/")
        found = [each for each in fs.snapshots if each.name == name and each.internal is (flags == 1)]
        if command != 0xF or not found:
            raise VolumeUnusable(f"the kernel does not tell what has moved (fscntl): {os.strerror(errno.EINVAL)}")
        moved = _extents(found[0].moved)
        if kind == 1:
            struct.pack_into("=i", head, 4, len(moved))
            struct.pack_into("=i", head, len(head) - 8, fs.block.bit_length() - 1)
            return
        first = struct.unpack_from("=Q", extents, 8)[0]
        rows = [row for row in moved if row[0] >= first][:count]
        for number, row in enumerate(rows):
            struct.pack_into("=IIQQQ", extents, number * 32, 0, 0, *row)
        if len(rows) < count:
            struct.pack_into("=IIQQQ", extents, len(rows) * 32, 0, 0, 0, 0, 0)
        struct.pack_into("=i", head, 4, len(rows))


def _extents(moved: dict[int, int]) -> list[tuple[int, int, int]]:
    """Block, how many, where: neighbours that lie side by side together."""
    found: list[tuple[int, int, int]] = []
    for number, slot in sorted(moved.items()):
        if found and found[-1][0] + found[-1][1] == number and found[-1][2] + found[-1][1] == slot:
            found[-1] = (found[-1][0], found[-1][1] + 1, found[-1][2])
        else:
            found.append((number, 1, slot))
    return found


def _noise(block: int, blocks: int, log: int) -> tuple[bytearray, set[int]]:
    content = bytearray(dice(f"jfs2/{block}/{blocks}").randbytes(max(blocks * block, LEAST)))
    content[0x8000:0x8100] = _superblock(block, len(content) // block - log, log)
    return content, set(range(0, len(content) // block, 2)) | set(range(0x8000 // block, -(-0x8100 // block)))


def _superblock(block: int, blocks: int, log: int) -> bytes:
    found = bytearray(256)
    found[:4] = b"J2FS"
    struct.pack_into(">I", found, 64, block)
    struct.pack_into(">I", found, 88, 0x80000000 | (0x800 if log else 0))
    found[136:144] = log.to_bytes(3, "big") + blocks.to_bytes(5, "big")
    return bytes(found)


class SimulatedVolume(Volume):
    """A logical volume, read by its raw device."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        volume = world.system.volumes[name]
        device = f"/dev/{name}"
        rows = [row for row in world.host.mounted if row.device == device]
        self.facts = VolumeFacts(
            path=device,
            device=device,
            kind=VolumeKind.BLOCK,
            size=len(volume.content),
            mounts=tuple(Mount(row.place, row.kind, row.options, row.read_only) for row in rows),
            identity=f"lv:{volume.ident}",
            facts={"lv": name, "vg": volume.group.name, "system": "AIX"},
        )

    def open_reader(self, *, exclusive: bool) -> Reader:
        """A reader of the raw device."""
        return RawReader(self.world, self.name)

    def open_writer(self) -> Writer:
        """Nobody writes here."""
        raise VolumeUnusable("nobody writes here", subject=self.facts.path)


@attrs.define
class RawReader(Reader):
    """Reads block by block, and others go on in between."""

    world: World
    name: str
    closed: bool = False

    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes."""
        return len(self._content())

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the contract says."""
        room = memoryview(buffer).cast("B")
        if self.closed or offset < 0 or offset + room.nbytes > self.size:
            raise ValueError(f"{room.nbytes} bytes at {offset} of {self.name}: outside, or closed")
        step = self.world.fs.block // 2
        at = offset
        while at < offset + room.nbytes:
            end = min((at // step + 1) * step, offset + room.nbytes)
            self.world.tick()
            room[at - offset : end - offset] = self._content()[at:end]
            at = end

    def close(self) -> None:
        """As the contract says."""
        self.closed = True

    def _content(self) -> bytearray:
        volume = self.world.system.volumes.get(self.name)
        return volume.content if volume is not None else bytearray()
