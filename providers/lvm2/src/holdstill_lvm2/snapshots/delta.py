"""Which blocks of a thin pool two of its volumes do not share, from the pool's metadata while it is in use.

That is read through a snapshot of the metadata, of which a pool has one at most: it is reserved, and given back, by us
or by nobody (Documentation/admin-guide/device-mapper/thin-provisioning.rst, "reserve_metadata_snap").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from holdstill.errors import VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.holds import Holds, Undone, UndoState
from holdstill_lvm2 import mapper
from holdstill_lvm2.lvm import LogicalVolume, Lvm

KIND: Final = "lvm2.metadata-snapshot"
VERSION: Final = 1
#: one run of blocks in what thin_delta(8) prints
_RUN: Final = re.compile(r'<(\w+) begin="(\d+)" length="(\d+)"/>')
_DIFFERENT: Final = ("different", "left_only", "right_only")


def between(lvm: Lvm, holds: Holds, pool: LogicalVolume, one: int, other: int) -> Extents:
    """The bytes of two volumes of the pool, by their thin ids, that they do not share. Raises ``VolumeUnusable``."""
    with _reserved(lvm, holds, pool):
        device = "/dev/mapper/" + mapper.name(lvm, f"{pool.mapped}-tpool").removesuffix("-tpool") + "_tmeta"
        ran = lvm.ask("thin_delta", "-m", "--snap1", str(one), "--snap2", str(other), device)
    if not ran.ok or "</superblock>" not in ran.out:
        raise VolumeUnusable(f"thin_delta does not tell: {ran.said}", subject=pool.full_name)
    return _runs(ran.out, pool.chunk_size)


def undo(lvm: Lvm, data: dict[str, str]) -> Undone:
    """Give back the reservation that the line names, if it is still the same one."""
    pool = data["pool"]
    found = mapper.status(lvm, pool)
    status = mapper.pool_status(found, 1) if found is not None else None
    if status is None or status.held_root == "-":
        return Undone(UndoState.ABSENT)
    if status.held_root != data.get("root"):
        return Undone(UndoState.REFUSED, f"metadata snapshot {status.held_root} of that pool is not provably ours")
    ran = lvm.change("dmsetup", "message", mapper.name(lvm, pool), "0", "release_metadata_snap")
    if not ran.ok:
        return Undone(UndoState.UNKNOWN, f"the metadata snapshot cannot be released: {ran.said}")
    return Undone(UndoState.REMOVED, "the metadata snapshot is released")


@contextmanager
def _reserved(lvm: Lvm, holds: Holds, pool: LogicalVolume) -> Iterator[None]:
    uuid = pool.mapped + "-tpool"
    if _root(lvm, uuid) != "-":
        raise VolumeUnusable("somebody has reserved the metadata snapshot of its pool", subject=pool.full_name)
    name = mapper.name(lvm, uuid)
    by_hand = f"dmsetup message {name} 0 release_metadata_snap"
    data = {"what": f"metadata snapshot of {pool.full_name}", "pool": uuid}
    line = holds.hold(KIND, data, by_hand=by_hand, version=VERSION)
    ran = lvm.change("dmsetup", "message", name, "0", "reserve_metadata_snap")
    if not ran.ok:
        line.drop()
        raise VolumeUnusable(f"the pool's metadata snapshot cannot be reserved: {ran.said}", subject=pool.full_name)
    steady = Lvm(lvm.runner, patient=True)
    data["root"] = _root(steady, uuid)
    try:
        line.update(root=data["root"])
        yield
    finally:
        if undo(steady, data).state in (UndoState.REMOVED, UndoState.ABSENT):
            line.drop()


def _root(lvm: Lvm, uuid: str) -> str:
    found = mapper.status(lvm, uuid)
    status = mapper.pool_status(found, 1) if found is not None else None
    if status is None:
        raise VolumeUnusable("the thin pool is not there")
    return status.held_root


def _runs(xml: str, block_size: int) -> Extents:
    rows = [(int(begin), int(length)) for kind, begin, length in _RUN.findall(xml) if kind in _DIFFERENT]
    table = np.array(rows, dtype=np.int64).reshape(-1, 2) * block_size
    return Extents.from_arrays(table[:, 0], table[:, 1])
