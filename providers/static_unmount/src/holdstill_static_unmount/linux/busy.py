"""Who stands in the way: the processes that use a mounted file system, and by what."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from holdstill_static_unmount.linux.table import Row

#: so many are named; whoever ends those and tries again is told of the next
_NAMED: Final = 20
#: one line of /proc/PID/maps (Documentation/filesystems/proc.rst, 1.1): permissions, device, inode, path
_MAPPING: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+ (....) [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) ([0-9]+) *(.*)")


@attrs.frozen
class User:
    """A process, and one thing by which it uses the file system."""

    process: int
    command: str
    what: str

    def __str__(self) -> str:
        return f"process {self.process} ({self.command}) {self.what}"


def writers(rows: Iterable[Row]) -> list[User]:
    """Who keeps these mounts of one file system from being made read-only: write-open files, files that are open but
    unlinked, mappings that can be written through.
    """
    return _scan(rows, everything=False)


def users(rows: Iterable[Row]) -> list[User]:
    """Who keeps them from being unmounted: the same, and everything else that is open, or is a place to be in."""
    return _scan(rows, everything=True)


def told(found: list[User]) -> str:
    """In words."""
    more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(str(user) for user in found[:_NAMED]) + more


def _scan(rows: Iterable[Row], *, everything: bool) -> list[User]:
    mounts = {str(row.id) for row in rows}
    devices = {_hexadecimal(row.device) for row in rows}
    found: dict[tuple[int, str], User] = {}
    for process in sorted(int(name) for name in _names(Path("/proc")) if name.isdigit()):
        home = Path(f"/proc/{process}")
        for what in (*_opened(home, mounts, everything=everything), *_mapped(home, devices, everything=everything)):
            found.setdefault((process, what), User(process, _command(home), what))
    return list(found.values())


def _opened(home: Path, mounts: set[str], *, everything: bool) -> Iterator[str]:
    """By the mount id of each descriptor: nothing is followed that could hang."""
    for name in _names(home / "fd"):
        pairs = (line.partition(":") for line in _lines(home / "fdinfo" / name))
        told = {key: value.strip() for key, _, value in pairs}
        if told.get("mnt_id") not in mounts:
            continue
        path = _link(home / "fd" / name)
        with contextlib.suppress(ValueError):
            if int(told.get("flags", "0"), 8) & os.O_ACCMODE != os.O_RDONLY:
                yield f"has {path} open for writing"
            elif path.endswith(" (deleted)"):
                yield f"has the unlinked file {path.removesuffix(' (deleted)')} open"
            elif everything:
                yield f"has {path} open"
    if everything:
        yield from _places(home, mounts)


def _places(home: Path, mounts: set[str]) -> Iterator[str]:
    """Working and root directory. They have no mount id to be asked for without following the link; a link to what
    was mounted is followed only after its text says that it may be there.
    """
    for name, what in (("cwd", "is in"), ("root", "has for its root"), ("exe", "runs")):
        try:
            descriptor = os.open(home / name, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            inside = any(
                line.startswith("mnt_id:") and line.split()[1] in mounts
                for line in _lines(Path(f"/proc/self/fdinfo/{descriptor}"))
            )
        finally:
            os.close(descriptor)
        if inside:
            yield f"{what} {_link(home / name)}"


def _mapped(home: Path, devices: set[tuple[int, int]], *, everything: bool) -> Iterator[str]:
    for line in _lines(home / "maps"):
        match = _MAPPING.match(line)
        if match is None or (int(match[2], 16), int(match[3], 16)) not in devices or match[4] == "0":
            continue
        path = match[5]
        if match[1].endswith("s") and match[1][1] == "w":
            yield f"has {path} mapped shared and writable"
        elif path.endswith(" (deleted)"):
            yield f"has the unlinked file {path.removesuffix(' (deleted)')} mapped"
        elif everything:
            yield f"has {path} mapped"


def _hexadecimal(device: str) -> tuple[int, int]:
    major, _, minor = device.partition(":")
    return int(major), int(minor)


def _command(home: Path) -> str:
    """Its command line, else the kernel's name for it; cut where it gets long."""
    try:
        words = (home / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        words = []
    text = b" ".join(words).decode(errors="backslashreplace")
    return text[:80] or next(iter(_lines(home / "comm")), "?")


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="backslashreplace").splitlines()
    except OSError:
        return []


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return "?"
