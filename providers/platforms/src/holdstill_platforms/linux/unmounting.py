"""Unmounting a volume before it is restored to."""

from __future__ import annotations

import os

from holdstill.errors import VolumeBusy
from holdstill_platforms.linux import libc, mountinfo, usage
from holdstill_platforms.linux.host import Ground, Host
from holdstill_platforms.linux.mountinfo import MountRow


def unmount(path: str, ground: Ground) -> None:
    """Unmount every mount of ``ground`` in our namespace, deepest first.

    Refuses, before anything is unmounted, where a mount below or in another namespace would stay. Raises
    ``VolumeBusy``.
    """
    found = usage.of(Host.look(), ground)
    stays = [row for row in found.rows if row.namespace and not _follows(row, found.rows)]
    if found.nested_rows or stays:
        raise _busy(path, ", ".join(_place(row) for row in (*found.nested_rows, *stays)), "is mounted besides or below")
    _unmount_all(path, [row for row in found.rows if not row.namespace])
    left = usage.of(Host.look(), ground).rows
    if left:
        raise _busy(path, ", ".join(_place(row) for row in left), "is still mounted")


def _follows(row: MountRow, rows: tuple[MountRow, ...]) -> bool:
    """Does unmounting one of ours unmount this one, in its other namespace, too? (mount_namespaces(7), "shared")"""
    ours = {tag.partition(":")[2] for mine in rows if not mine.namespace for tag in mine.tags if tag[:7] == "shared:"}
    return any(tag.partition(":")[0] in ("shared", "master") and tag.partition(":")[2] in ours for tag in row.tags)


def _unmount_all(path: str, rows: list[MountRow]) -> None:
    """Children before parents, and each only when it is on top: a path says nothing of what is hidden under it."""
    rows = _deepest_first(rows)
    while rows:
        visible = next((row for row in rows if mountinfo.row_at(row.path, mountinfo.own()) == row), None)
        if visible is None:
            raise _busy(path, ", ".join(_place(row) for row in rows), "is hidden under another mount")
        try:
            libc.unmount(visible.path)
        except OSError as error:
            raise _busy(path, visible.path, f"cannot be unmounted ({os.strerror(error.errno or 0)})") from error
        rows.remove(visible)


def _deepest_first(rows: list[MountRow]) -> list[MountRow]:
    parents = {row.id: row.parent for row in mountinfo.own()}

    def depth(row: MountRow) -> int:
        steps, at = 0, row.id
        while at in parents and parents[at] != at and steps < len(parents):
            steps, at = steps + 1, parents[at]
        return steps

    return sorted(rows, key=depth, reverse=True)


def _place(row: MountRow) -> str:
    return f"{row.path} (in the namespace of process {row.namespace})" if row.namespace else row.path


def _busy(path: str, what: str, why: str) -> VolumeBusy:
    return VolumeBusy(
        f"{what} {why}", subject=path, next_step="stop what uses it (`fuser -vm` tells), unmount it, then restore again"
    )
