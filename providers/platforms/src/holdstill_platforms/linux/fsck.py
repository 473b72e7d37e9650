"""File systems checked and mended by their own programs on Linux.

First a check that changes nothing; if that finds something, what mends it; then the check again. So whether a file
system is clean is always said by a check that came last, whatever the exit code of what mends means. From the manual
pages (EXIT CODE): e2fsck(8), xfs_repair(8), fsck.fat(8), fsck.exfat(8), btrfs-check(8), jfs_fsck(8): 0 of a check is
clean.
"""

from __future__ import annotations

import shlex
from typing import Final

import attrs

from holdstill.model.fsck import FilesystemCheck, FilesystemState
from holdstill.spi.runner import Ran, Runner

#: seconds; a check of a large file system takes hours
_LIMIT: Final = 7 * 86400.0


@attrs.frozen
class Checker:
    """``check`` and ``mend`` without the device. No ``mend``: its makers advise against it."""

    check: tuple[str, ...]
    mend: tuple[str, ...] = ()


_EXT: Final = Checker(("e2fsck", "-f", "-n"), ("e2fsck", "-f", "-y"))
CHECKERS: Final = {
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "xfs": Checker(("xfs_repair", "-n"), ("xfs_repair",)),
    "vfat": Checker(("fsck.fat", "-n"), ("fsck.fat", "-y")),
    "exfat": Checker(("fsck.exfat", "-n"), ("fsck.exfat", "-y")),
    "jfs": Checker(("jfs_fsck", "-n"), ("jfs_fsck", "-f", "-p")),
    "btrfs": Checker(("btrfs", "check", "--readonly")),
}


def check(device: str, filesystem: str, runner: Runner) -> FilesystemCheck | None:
    """None for a file system that has no checker here."""
    checker = CHECKERS.get(filesystem)
    if checker is None:
        return None
    first = runner.ask([*checker.check, device], limit=_LIMIT)
    if first.code == 127:
        return FilesystemCheck(FilesystemState.UNCHECKED, f"{checker.check[0]} is not there: {first.said}")
    if first.ok:
        return FilesystemCheck(FilesystemState.CLEAN, "its check found nothing", _typed(first))
    if first.timed_out or not checker.mend:
        return FilesystemCheck(FilesystemState.DAMAGED, f"its check says: {_short(first)}", _typed(first))
    mended = runner.change([*checker.mend, device])
    last = runner.ask([*checker.check, device], limit=_LIMIT)
    commands = _typed(first, mended, last)
    if last.ok:
        return FilesystemCheck(FilesystemState.MENDED, "its check found something, which was mended", commands)
    return FilesystemCheck(FilesystemState.DAMAGED, f"it could not be mended: {_short(mended)}", commands)


def _typed(*runs: Ran) -> tuple[str, ...]:
    return tuple(f"{shlex.join(ran.argv)} ({ran.code})" for ran in runs)


def _short(ran: Ran) -> str:
    return ran.said.strip().rstrip(".")
