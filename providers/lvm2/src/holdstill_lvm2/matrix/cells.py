"""The table, as data: its cells in its own words, and what each of them lets be done.

Source: IBM Tivoli Storage Manager, UNIX and Linux Backup-Archive Clients, "Performing image backups", table 1; what a
cell means in detail is told in docs/reference/lvm-matrix.md.
"""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.model.volume import Mode

LVM1: Final = "lvm1"
LVM2: Final = "lvm2"
OLD: Final = "5.3"
"""Version 5.3 and all before it."""
NEW: Final = "5.4"
"""Version 5.4 and all after it. Our engine counts as one of these."""

_EVERY: Final = frozenset({Mode.STATIC, Mode.DYNAMIC, Mode.SNAPSHOT})
_NONE: Final[frozenset[Mode]] = frozenset()


@attrs.frozen
class Cell:
    """What one client does with images of one kind of volume that go back to one kind of volume."""

    told: str
    """In the table's own words."""
    because: str
    filesystem: frozenset[Mode] = _NONE
    """Ways to image a file system."""
    raw: frozenset[Mode] = _NONE
    """Ways to image a volume without one."""


_NO_LVM1: Final = (
    "LVM1 is not supported any more: clients from 5.4 on recognise no LVM1 volume for image operations;"
    " use an older client, or bring the volume to LVM2"
)

#: by client, by the volume manager of what was backed up, and of where that is restored to
CELLS: Final = {
    (OLD, LVM1, LVM1): Cell("YES", "clients up to 5.3 know LVM1", _EVERY, _EVERY),
    (OLD, LVM2, LVM2): Cell(
        "Only static image for file system",
        "clients up to 5.3 do not know LVM2: they take only static images, and only of file systems",
        frozenset({Mode.STATIC}),
    ),
    (OLD, LVM1, LVM2): Cell("NO", "clients up to 5.3 do not restore images of LVM1 volumes to LVM2 volumes"),
    (OLD, LVM2, LVM1): Cell(
        "NO - raw volumes are not supported",
        "clients up to 5.3 do not restore images of LVM2 volumes to LVM1 volumes: raw volumes are not supported",
    ),
    (NEW, LVM1, LVM1): Cell("NO", _NO_LVM1),
    (NEW, LVM2, LVM2): Cell("YES", "clients from 5.4 on know LVM2", _EVERY, _EVERY),
    (NEW, LVM1, LVM2): Cell(
        "YES", "clients from 5.4 on restore what older clients imaged on LVM1 to LVM2 volumes", _EVERY, _EVERY
    ),
    (NEW, LVM2, LVM1): Cell("NO", _NO_LVM1),
}

CLIENTS: Final = {OLD: "V5.3 and prior", NEW: "V5.4 and beyond"}
MANAGERS: Final = (LVM1, LVM2)
#: in the order of the table
COLUMNS: Final = {
    (LVM1, LVM1): "LVM1 Backup and Restore",
    (LVM2, LVM2): "LVM2 Backup and Restore",
    (LVM1, LVM2): "Backup: LVM1, Restore: LVM2",
    (LVM2, LVM1): "Backup: LVM2, Restore: LVM1",
}
