"""The mount table of our namespace, and of others, as rows that can be written down."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

_OCTAL: Final = re.compile(r"\\([0-7]{3})")
#: the table of no sane host is longer, bytes
_LIMIT: Final = 32 << 20


@attrs.frozen
class Row:
    """One line of mountinfo (Documentation/filesystems/proc.rst, 3.5)."""

    id: int
    parent: int
    device: str
    """``major:minor`` of the superblock: all mounts of one file system share it."""
    root: str
    path: str
    options: str
    """Of this mount alone."""
    tags: str
    """``shared:N``, ``master:N``, ``unbindable``, separated by blanks: how mounts propagate."""
    filesystem: str
    source: str
    super_options: str
    """Of the file system, wherever it is mounted."""

    @property
    def flags(self) -> frozenset[str]:
        """The mount's own options."""
        return frozenset(self.options.split(","))

    @property
    def read_only(self) -> bool:
        """Is the *file system* read-only?"""
        return "ro" in self.super_options.split(",")

    def group(self, kind: str) -> str:
        """The number behind ``shared`` or ``master``; empty if it has none."""
        pairs = (tag.partition(":") for tag in self.tags.split())
        return next((number for name, _, number in pairs if name == kind), "")

    @property
    def unbindable(self) -> bool:
        """Is it kept from being bound elsewhere?"""
        return "unbindable" in self.tags.split()


def parse(text: str) -> list[Row]:
    """The rows of a mountinfo text, in its order. Lines that are none are left out."""
    return [row for line in text.split("\n") if (row := _row(line)) is not None]


def read(process: str = "self") -> list[Row]:
    """The table as this process sees it. Raises ``OSError``: not to be told is not the same as that there is none."""
    with Path(f"/proc/{process}/mountinfo").open("rb") as file:
        return parse(file.read(_LIMIT).decode(errors="surrogateescape"))


def write(rows: Iterable[Row]) -> str:
    """Rows as text for the journal."""
    return json.dumps([attrs.astuple(row) for row in rows])


def read_back(text: str) -> list[Row]:
    """Rows from the journal."""
    return [Row(*fields) for fields in json.loads(text)]


def unescape(field: str) -> str:
    r"""A name as /proc writes it, with ``\040 \011 \012 \134`` (fs/seq_file.c, mangle_path) turned back."""
    raw = _OCTAL.sub(lambda found: chr(int(found[1], 8)), field.encode(errors="surrogateescape").decode("latin-1"))
    return raw.encode("latin-1").decode(errors="surrogateescape")


def _row(line: str) -> Row | None:
    fields = line.split(" ")
    try:
        dash = fields.index("-", 6)
        own, parent, device, root, path, options = fields[:6]
        filesystem, source, super_options = fields[dash + 1 : dash + 4]
        return Row(
            id=int(own),
            parent=int(parent),
            device=device,
            root=unescape(root),
            path=unescape(path),
            options=options,
            tags=" ".join(fields[6:dash]),
            filesystem=unescape(filesystem),
            source=unescape(source),
            super_options=super_options,
        )
    except (ValueError, OverflowError):
        return None
