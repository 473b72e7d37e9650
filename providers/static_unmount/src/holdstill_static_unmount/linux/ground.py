"""What is found before anything is touched: the mounts of the volume, and why they may not be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import attrs

from holdstill.errors import VolumeBusy, VolumeUnusable
from holdstill.model.volume import VolumeFacts
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_static_unmount.linux.table import Row


@attrs.frozen
class Ground:
    """One mounted file system."""

    path: str
    """What the user named."""
    rows: tuple[Row, ...]
    """Its mounts in our namespace, parents first."""

    @property
    def device(self) -> str:
        """``major:minor`` of its superblock."""
        return self.rows[0].device

    @property
    def top(self) -> Row:
        """The mount by which it is spoken to."""
        return self.rows[0]


def survey(kernel: Kernel, facts: VolumeFacts) -> Ground:
    """The mounts of the volume. Raises ``VolumeUnusable`` for what is not to be made static or frozen, ``VolumeBusy``
    for what must be let go first. Nothing was touched.
    """
    table = kernel.rows()
    known = {(mount.path, mount.root, mount.filesystem) for mount in facts.mounts if not mount.namespace}
    devices = {row.device for row in table if (row.path, row.root, row.filesystem) in known}
    if not devices:
        raise VolumeUnusable(
            "it is not mounted in this mount namespace",
            subject=facts.path,
            next_step="run this where it is mounted, or use --mode offline when it is not mounted at all",
        )
    if len(devices) > 1:
        raise VolumeUnusable("several file systems on it are mounted", subject=facts.path, next_step="name one of them")
    rows = _parents_first([row for row in table if row.device in devices])
    ground = Ground(facts.path, tuple(rows))
    _refuse(kernel, ground, table)
    return ground


def _refuse(kernel: Kernel, ground: Ground, table: list[Row]) -> None:
    if any(row.path == "/" for row in ground.rows):
        raise VolumeUnusable(
            "it is the root file system; the host cannot go on without it",
            subject=ground.path,
            next_step="take it by a snapshot, or as it is (--mode dynamic)",
        )
    ours = {row.id for row in ground.rows}
    nested = [row for row in table if row.id not in ours and _above(row, table) & ours]
    if nested:
        what = ", ".join(f"{row.path} ({row.filesystem})" for row in nested)
        raise VolumeBusy(f"mounted below it: {what}", subject=ground.path, next_step="unmount those first")
    automatic = [row for row in table if row.filesystem == "autofs" and row.id in {r.parent for r in ground.rows}]
    if automatic:
        raise VolumeBusy(
            f"it is mounted by an automounter, at {automatic[0].path}, which may mount or unmount it at any time",
            subject=ground.path,
            next_step="stop the automounter, mount it by hand, then try again",
        )
    for swap in kernel.swaps():
        if _lies_on(swap, ground.rows, table):
            raise VolumeBusy(f"the host swaps to {swap}", subject=ground.path, next_step="swapoff it first")
    for name, backing in kernel.loop_files().items():
        if _lies_on(backing.removesuffix(" (deleted)"), ground.rows, table):
            raise VolumeBusy(f"{name} stands on {backing}", subject=ground.path, next_step="detach that first")


def _above(row: Row, table: list[Row]) -> set[int]:
    """The mounts that this one hangs under, directly or not."""
    parents = {each.id: each.parent for each in table}
    seen: set[int] = set()
    at = row.id
    while (at := parents.get(at, 0)) and at not in seen:
        seen.add(at)
    return seen


def _parents_first(rows: list[Row]) -> list[Row]:
    """The mounts that hang under others of these come after them; else the table's order, which is that of time."""
    return sorted(rows, key=lambda row: len(_above(row, rows)))


def _lies_on(path: str, rows: Iterable[Row], table: list[Row]) -> bool:
    """By name: the mount that the path would be looked up in. A file of the same name elsewhere is not it."""
    ids = {row.id for row in rows}
    place = Path(path)
    nearest = max(
        (row for row in table if place == Path(row.path) or Path(row.path) in place.parents),
        key=lambda row: len(row.path),
        default=None,
    )
    return nearest is not None and nearest.id in ids and os.path.lexists(path)
