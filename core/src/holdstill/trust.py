"""Who else could have written what root is about to rely on: an options file, a folder of plugins."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

#: as many links as Linux itself follows (path_resolution(7)); a longer chain leads nowhere
_MOST_LINKS: Final = 40
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def is_root() -> bool:
    """Does this process run as root? Only then is there anything to guard."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def distrusted(path: Path) -> str | None:
    """Why root should not rely on ``path`` (a sentence without its end), or None.

    It, the folder it is in, and all that leads there, links included, must belong to root and be writable by nobody
    else. Folders higher up may be writable if they are sticky, as ``/tmp`` is: there others cannot replace what is
    root's. What does not exist ends the walk: it is no danger, and opening it says so better. Raises OSError.
    """
    walked = list(_walk(path))
    at_hand = next(at for at in reversed(range(len(walked))) if walked[at].is_folder)
    reasons = (step.reason(guarded=at < at_hand and bool(step.mode & stat.S_ISVTX)) for at, step in enumerate(walked))
    return next(filter(None, reasons), None)


def distrusted_code(folder: Path) -> str | None:
    """As ``distrusted``, of a folder and the folders and Python files in it; the way to it is walked but once."""
    if reason := distrusted(folder):
        return reason
    for inner, folders, files in os.walk(folder):
        for name in [*folders, *(file for file in files if file.endswith(".py"))]:
            path = Path(inner, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue  # it went meanwhile: it is no danger
            step = _Step(path, status.st_uid, status.st_mode)
            if reason := distrusted(path) if step.is_link else step.reason(guarded=False):
                return reason
    return None


@attrs.frozen
class _Step:
    path: Path
    owner: int
    mode: int

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def reason(self, *, guarded: bool) -> str | None:
        if self.owner != 0:
            return f"{self.path} belongs to user {self.owner}, not to root"
        if self.mode & _OTHERS and not self.is_link and not guarded:
            return f"{self.path} is writable by others (mode {stat.S_IMODE(self.mode):o})"
        return None


def _walk(path: Path) -> Iterator[_Step]:
    """Everything the kernel passes on its way to ``path``, in its order; each link, then what it points to."""
    here = Path("/")
    ahead = list(reversed(path.absolute().parts))
    links = 0
    while ahead:
        name = ahead.pop()
        there = here.parent if name == ".." else here / name
        try:
            status = there.lstat()
        except FileNotFoundError:
            return
        yield _Step(there, status.st_uid, status.st_mode)
        if not stat.S_ISLNK(status.st_mode):
            here = there
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        ahead += reversed(there.readlink().parts)
