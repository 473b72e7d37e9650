"""What is asked of the kernel and what it is told to do, a step a method. Everything else here is decisions."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdstill_static_unmount.linux import syscalls, table
from holdstill_static_unmount.linux.table import Row

#: include/uapi/linux/fs.h: write out and forget a device's page cache
BLKFLSBUF: Final = 0x1261
#: the same file: _IOWR('X', 119, int) and _IOWR('X', 120, int), on any directory of the file system
FIFREEZE: Final = 0xC0045877
FITHAW: Final = 0xC0045878


class Kernel:
    """The running one. Every change raises ``OSError``; none of them is believed before ``rows`` shows it."""

    def boot(self) -> str:
        """What is different after each start of the host."""
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def rows(self) -> list[Row]:
        """Our namespace's mounts."""
        return table.read()

    def elsewhere(self) -> dict[str, list[Row]]:
        """The mounts of every other mount namespace in sight, by a process that is in it."""
        seen = {_namespace("self")}
        found = {}
        for process in (home.name for home in Path("/proc").glob("[0-9]*")):
            namespace = _namespace(process)
            if namespace and namespace not in seen:
                seen.add(namespace)
                with contextlib.suppress(OSError):
                    found[process] = table.read(process)
        return found

    def swaps(self) -> list[str]:
        """The active swap files and devices."""
        lines = Path("/proc/swaps").read_text(errors="surrogateescape").splitlines()[1:]
        return [table.unescape(line.split()[0]) for line in lines if line.strip()]

    def loop_files(self) -> dict[str, str]:
        """The files that loop devices stand on, by the device's name."""
        found = {}
        for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
            with contextlib.suppress(OSError):
                found[backing.parts[3]] = backing.read_text(errors="surrogateescape").rstrip("\n")
        return found

    def identity(self, device: str) -> str:
        """What is behind a device number, so far as sysfs tells: numbers are used again."""
        home = Path("/sys/dev/block") / device
        told = [
            (name, _line(home / name)) for name in ("dm/uuid", "loop/backing_file", "wwid", "device/serial", "size")
        ]
        return " ".join(f"{name}={value}" for name, value in told if value)

    def written(self, device: str) -> tuple[int, ...]:
        """Counters that move when anything is written to the device or discarded on it (Documentation/block/stat.rst,
        the fields 7 and 14); empty where there are none.
        """
        fields = _line(Path("/sys/dev/block") / device / "stat").split()
        return tuple(int(fields[at]) for at in (6, 13) if at < len(fields))

    def number_of(self, path: str) -> str:
        """``major:minor`` of a device node; empty for anything else."""
        with contextlib.suppress(OSError):
            number = os.stat(path).st_rdev  # noqa: PTH116
            return f"{os.major(number)}:{os.minor(number)}" if number else ""
        return ""

    def sync(self, row: Row) -> None:
        """Write out what the file system has in memory, while its writers may still go on."""
        with at(row) as descriptor:
            syscalls.sync(descriptor)

    def flush(self, device: str) -> None:
        """Write out and forget the page cache of a device node."""
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, BLKFLSBUF, 0)
        finally:
            os.close(descriptor)

    def remount(self, row: Row, *, read_only: bool) -> None:
        """Make the file system of this mount read-only, or writable. Its mounts keep their own options."""
        with at(row, os.O_PATH) as descriptor:
            if syscalls.reconfigure(descriptor, read_only=read_only):
                return
        flags = syscalls.mount_flags(row.flags - {"ro"}) | _super_flags(row)
        syscalls.mount(None, row.path, None, syscalls.MS_REMOUNT | flags | (syscalls.MS_RDONLY if read_only else 0))
        self.set_flags(row)

    def unmount(self, row: Row) -> None:
        """Unmount it. Raises ``OSError`` (EBUSY) if it is not the one on top at its place."""
        with at(row):
            pass
        syscalls.unmount(row.path)

    def mount(self, row: Row) -> None:
        """Mount the file system there anew, with the options of the file system."""
        flags = syscalls.mount_flags(row.flags) & ~syscalls.MS_RDONLY | _super_flags(row)
        flags |= syscalls.MS_RDONLY if row.read_only else 0
        syscalls.mount(row.source, row.path, row.filesystem, flags, _data(row))

    def bind(self, source: str, row: Row) -> None:
        """Show what is at ``source`` there, too."""
        syscalls.mount(source, row.path, None, syscalls.MS_BIND)

    def set_flags(self, row: Row) -> None:
        """Give the mount there its own options."""
        flags = syscalls.mount_flags(row.flags)
        syscalls.mount(None, row.path, None, syscalls.MS_REMOUNT | syscalls.MS_BIND | flags)

    def propagate(self, path: str, kind: str) -> None:
        """Make the mount there ``private``, ``shared``, ``slave`` or ``unbindable``."""
        syscalls.mount(None, path, None, getattr(syscalls, f"MS_{kind.upper()}"))

    def thaw(self, row: Row) -> bool:
        """Let the writers of a frozen file system go on. False: it was not frozen."""
        with at(row) as descriptor:
            try:
                fcntl.ioctl(descriptor, FITHAW, 0)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return False
        return True

    def rest(self, seconds: float) -> None:
        """Wait before another attempt."""
        time.sleep(seconds)


@contextlib.contextmanager
def at(row: Row, flags: int = os.O_RDONLY) -> Iterator[int]:
    """The mount itself, open: its place is looked up once, and what is found there must be it."""
    descriptor = os.open(row.path, flags | os.O_CLOEXEC)
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        if f"mnt_id:\t{row.id}\n" not in told:
            raise OSError(errno.EBUSY, "another mount is on top of it", row.path)
        yield descriptor
    finally:
        os.close(descriptor)


def _super_flags(row: Row) -> int:
    """The flags of the file system, but for read-only."""
    options = row.super_options.split(",")
    return sum(flag for name, flag in syscalls.OF_SUPER.items() if name in options and name != "ro")


def _data(row: Row) -> str:
    """The options of the file system that are its own business. ``seclabel`` only shows what the kernel found."""
    ours = {"ro", "rw", "seclabel", *syscalls.OF_SUPER}
    return ",".join(option for option in row.super_options.split(",") if option not in ours)


def _namespace(process: str) -> str | None:
    try:
        return str(Path(f"/proc/{process}/ns/mnt").readlink())
    except OSError:
        return None


def _line(path: Path) -> str:
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""
