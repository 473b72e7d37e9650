"""Going through the folders of a local target: what is an object, and what a killed writer left."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from holdstill.spi.target import KEY, Listed
from holdstill_storage.files import ABANDONED, HIDDEN

_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")


def objects(root: int, prefix: str) -> Iterator[Listed]:
    """Every regular file below ``prefix`` whose path is a key."""
    for folder, entry in _files(root, prefix.rstrip("/")):
        key = f"{folder}{entry.name}"
        if KEY.fullmatch(key):
            with suppress(FileNotFoundError):
                yield Listed(key, entry.stat(follow_symlinks=False).st_size)


def sweep(root: int, *, now: float) -> None:
    """Remove hidden files that were written to last a day ago or earlier. ``now`` is the file system's own clock.

    Only a courtesy: what it meets on its way is told by the write that comes after it.
    """
    with suppress(OSError):
        for folder, entry in _files(root, ""):
            if entry.name.startswith(HIDDEN) and entry.stat(follow_symlinks=False).st_mtime < now - ABANDONED:
                os.unlink(f"{folder}{entry.name}", dir_fd=root)


def _files(root: int, below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every regular file below a folder, beside its folder's path with a slash. Links are not followed."""
    waiting = [below]
    while waiting:
        folder = waiting.pop()
        path = f"{folder}/" if folder else ""
        try:
            opened = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=root)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            with os.scandir(opened) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False) and _NAME.fullmatch(entry.name) and path.count("/") < 3:
                        waiting.append(f"{path}{entry.name}")
                    elif entry.is_file(follow_symlinks=False):
                        yield path, entry
        finally:
            os.close(opened)
