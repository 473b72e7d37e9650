"""How mounts of one file system hang together, apart from the numbers that the kernel gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from holdstill_static_unmount.linux.table import Row


def differences(wanted: Sequence[Row], table: Iterable[Row]) -> list[str]:
    """What is not as it was, a sentence each: mounts that are not there, options, propagation."""
    rows = list(table)
    now = [find(row, rows) for row in wanted]
    told = []
    for row, there in zip(wanted, now, strict=True):
        if there is None:
            told.append(f"{row.path} is not mounted")
            continue
        if there.flags != row.flags:
            told.append(f"{row.path} is mounted with {there.options} where it was {row.options}")
        if set(there.super_options.split(",")) != set(row.super_options.split(",")):
            told.append(f"{row.path} has the options {there.super_options} where it had {row.super_options}")
        if _tied(there, now) != _tied(row, wanted):
            told.append(f"{row.path} propagates by '{there.tags}' where it did by '{row.tags}'")
    return told


def find(wanted: Row, table: Iterable[Row]) -> Row | None:
    """The mount of the same thing at the same place, the uppermost if there are several.

    A file system with a device number of its own (major 0) gets another at each mount; there its source tells.
    """
    same = [
        row
        for row in table
        if (row.path, row.root, row.filesystem) == (wanted.path, wanted.root, wanted.filesystem)
        and (row.source == wanted.source if wanted.device.startswith("0:") else row.device == wanted.device)
    ]
    return same[-1] if same else None


def is_whole(row: Row) -> bool:
    """Can it be mounted from the device, and not only bound from another mount?"""
    return row.root == "/" or f"subvol={row.root}" in row.super_options.split(",")


def origin(row: Row, earlier: Sequence[Row]) -> Row | None:
    """The one of ``earlier`` that it can be bound from, one that it is tied to if there is one.

    What is bound must not lie below another of them: the path to it would lead into that. Nor can the unbindable be.
    """
    open_ = [
        each
        for each in earlier
        if (path := source_path(row, each)) and not each.unbindable and not _covered(path, each, earlier)
    ]
    for tied in (row.group("shared"), row.group("master")):
        if tied and (found := next((each for each in open_ if each.group("shared") == tied), None)):
            return found
    return next(iter(open_), None)


def source_path(row: Row, start: Row) -> str:
    """Where its root is, seen from another mount; empty if it is not inside that."""
    if not _inside(row.root, start.root):
        return ""
    return str(PurePosixPath(start.path) / PurePosixPath(row.root).relative_to(start.root))


def not_repeatable(rows: Sequence[Row]) -> str | None:
    """Why these mounts, parents first, could not all be made again; None if they could."""
    groups = {row.group("shared") for row in rows} - {""}
    for at, row in enumerate(rows):
        if "idmapped" in row.flags:
            return f"{row.path} has its users mapped"
        if row.root.endswith("//deleted"):
            return f"{row.path} shows a directory that was deleted"
        if row.group("master") and row.group("master") not in groups:
            return f"{row.path} follows a mount that is not one of its own"
        start = origin(row, rows[:at])
        tied = row.group("master") or (row.group("shared") in {each.group("shared") for each in rows[:at]} - {""})
        if start is None and (tied or not is_whole(row)):
            return f"{row.path} shows only a part of it, {row.root}"
        if tied and start is not None and start.group("shared") not in (row.group("master"), row.group("shared")):
            return f"{row.path} is tied to a mount that hides it"
    return None


def _covered(path: str, start: Row, rows: Sequence[Row]) -> bool:
    """Does the way from ``start`` to ``path`` lead into another of ``rows``?"""
    later = rows[rows.index(start) + 1 :]
    return any(
        _inside(path, each.path) and _inside(each.path, start.path) and (each.path != start.path or each in later)
        for each in rows
        if each is not start
    )


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _tied(row: Row, rows: Sequence[Row | None]) -> tuple[object, ...]:
    """Whom it shares with, whom it follows, by their places in the list, and whether at all."""
    shared, master = row.group("shared"), row.group("master")
    peers = tuple(at for at, each in enumerate(rows) if each and shared and each.group("shared") == shared)
    masters = tuple(at for at, each in enumerate(rows) if each and master and each.group("shared") == master)
    return bool(shared), peers, bool(master), masters, row.unbindable
