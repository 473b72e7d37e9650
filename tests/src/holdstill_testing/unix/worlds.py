"""Hosts with something on them: volumes that are mounted and written to, swap, and a disk that nobody uses."""

from __future__ import annotations

from functools import cache
from typing import Final

import attrs

from holdstill.errors import ReadFault
from holdstill.model.buffers import Buffer, Room
from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill.spi.writer import Writer
from holdstill_testing.torture import dice
from holdstill_testing.unix.aix import Aix
from holdstill_testing.unix.host import Disk, Host, Mounted, System
from holdstill_testing.unix.hpux import HpUx
from holdstill_testing.unix.runner import SimulatedRunner
from holdstill_testing.unix.solaris import Solaris

SIZE: Final = 1 << 20


@cache
def _noise(name: str) -> bytes:
    return dice(name).randbytes(SIZE)


@attrs.frozen
class World:
    """One host, and the names of what is on it."""

    host: Host
    platform: str
    """As ``sys.platform`` has it there."""
    data: str
    """The block device mounted on /data, which has another mounted below, /data/deep."""
    home: str
    """The block device mounted on /home."""
    spare: str
    """A logical volume or slice that nobody uses."""
    swap: str
    disk: str

    @property
    def raw(self) -> str:
        """The raw device beside ``home``."""
        return self.host.disks[self.home].raw


def world(system: type[System]) -> World:
    """A new one."""
    names, raws, kind, platform = _NAMES[system.name]
    root, data, deep, home, spare, swap, disk = names
    host = Host(system())
    host.disks = {name: Disk(raw, bytearray(_noise(name))) for name, raw in zip(names, raws, strict=True)}
    host.disks[swap].kind = "paging" if system is Aix else "swap"
    host.table = [
        Mounted(root, "/", kind, "rw"),
        Mounted(data, "/data", kind, "rw,log=INLINE"),
        Mounted(deep, "/data/deep", kind, "rw"),
        Mounted(home, "/home", kind, "rw"),
    ]
    host.mounted = [attrs.evolve(each) for each in host.table]
    host.at("/home").options = "rw,nosuid,largefiles"  # type: ignore[union-attr]  # not as the table says: by hand
    host.users["/"] = {1}
    return World(host, platform, data, home, spare, swap, disk)


class SimulatedMachine(Machine):
    """One that is reached. While a device is read, applications write wherever they can."""

    def __init__(self, there: World, url: str = "sim://there") -> None:
        self.url, self.name, self.system = url, url.partition("://")[2], there.platform
        self.host = there.host
        self.runner: Runner = SimulatedRunner(there.host)

    def runner_for(self, run: str, local: Runner) -> Runner:
        """The host's own."""
        return self.runner

    def at_work(self, run: str) -> str:
        """A command is over before anybody can ask."""
        return ""

    def open_reader(self, device: str, size: int) -> Reader:
        """Of a raw device."""
        return _RawReader(self.host, device, size)

    def open_writer(self, device: str, size: int) -> Writer:
        """Of a raw device."""
        return _RawWriter(self.host, device, size)


class _RawReader(Reader):
    def __init__(self, host: Host, device: str, size: int) -> None:
        self.host, self.device, self.size = host, device, size
        self.closed = False
        if len(_content(host, device)) != size:
            raise AssertionError(f"{device} does not have {size} bytes")

    def readinto(self, offset: int, buffer: Room) -> None:
        room = memoryview(buffer).cast("B")
        if self.closed or offset < 0 or offset + len(room) > self.size:
            raise ValueError("closed, or outside")
        try:
            room[:] = _content(self.host, self.device)[offset : offset + len(room)]
        except KeyError:
            raise ReadFault("no such device any more", offset=offset, length=len(room), subject=self.device) from None
        self.host.live()

    def close(self) -> None:
        self.closed = True


class _RawWriter(Writer):
    def __init__(self, host: Host, device: str, size: int) -> None:
        self.host, self.device, self.size = host, device, size

    def write(self, offset: int, buffer: Buffer) -> None:
        content = memoryview(buffer).cast("B")
        if offset < 0 or offset + len(content) > self.size:
            raise ValueError("outside")
        _content(self.host, self.device)[offset : offset + len(content)] = content

    def zero(self, offset: int, length: int) -> None:
        self.write(offset, bytes(length))

    def flush(self) -> None:
        pass

    def reader(self) -> Reader:
        return _RawReader(self.host, self.device, self.size)

    def close(self) -> None:
        pass


def _content(host: Host, device: str) -> bytearray:
    """By the raw name alone: whoever reads the other reads what the cache remembers."""
    by_raw = {disk.raw: disk.content for disk in host.disks.values()}
    by_raw |= {f"/dev/rfssnap/{kept.number}": kept.content for kept in host.snapshots.values()}
    return by_raw[device]


_NAMES: Final = {
    "AIX": (
        ("/dev/hd4", "/dev/fslv00", "/dev/fslv01", "/dev/fslv02", "/dev/fslv03", "/dev/hd6", "/dev/hdisk1"),
        ("/dev/rhd4", "/dev/rfslv00", "/dev/rfslv01", "/dev/rfslv02", "/dev/rfslv03", "/dev/rhd6", "/dev/rhdisk1"),
        "jfs2",
        "aix",
    ),
    "HP-UX": (
        (*(f"/dev/vg00/lvol{number}" for number in range(1, 7)), "/dev/disk/disk5"),
        (*(f"/dev/vg00/rlvol{number}" for number in range(1, 7)), "/dev/rdisk/disk5"),
        "vxfs",
        "hp-ux11",
    ),
    "Solaris": (
        tuple(f"/dev/dsk/c0t0d0s{number}" for number in (0, 3, 4, 5, 6, 1, 7)),
        tuple(f"/dev/rdsk/c0t0d0s{number}" for number in (0, 3, 4, 5, 6, 1, 7)),
        "ufs",
        "sunos5",
    ),
}
SYSTEMS: Final[tuple[type[System], ...]] = (Aix, HpUx, Solaris)
