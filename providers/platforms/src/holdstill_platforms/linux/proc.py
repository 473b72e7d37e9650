"""Reading /proc and /sys: bounded, and without ever failing over what is not there."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

#: no table of the kernel that we read is longer than this on a sane host; the rest is cut off
TABLE_LIMIT: Final = 32 << 20
#: nor is any directory of it, in entries
LIST_LIMIT: Final = 1 << 17

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def text(path: str | Path, limit: int = TABLE_LIMIT) -> str:
    """The file's text, at most ``limit`` bytes of it; empty if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return os.fsdecode(file.read(limit))
    except OSError:
        return ""


def line(path: str | Path) -> str:
    """The file's first line, stripped; empty if it cannot be read."""
    lines = text(path, 4096).splitlines()
    return lines[0].strip() if lines else ""


def number(path: str | Path) -> int:
    """The file's number; 0 if it has none."""
    try:
        return int(line(path))
    except ValueError:
        return 0


def names(path: str | Path) -> list[str]:
    """The sorted names in a directory; none if it cannot be read."""
    found: list[str] = []
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            found.append(entry.name)
            if len(found) == LIST_LIMIT:
                break
    return sorted(found)


def unescape(field: str) -> str:
    r"""A name as /proc writes it, with ``\040 \011 \012 \134`` (fs/seq_file.c, mangle_path) turned back."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8) & 0xFF), field)
