"""Which blocks of a thin pool two of its volumes do not share, from the pool's metadata while it is in use.

That is read through a snapshot of the metadata, of which a pool has one at most: it is reserved, and given back, by us
or by nobody (Documentation/admin-guide/device-mapper/thin-provisioning.rst, "reserve_metadata_snap").
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from holdstill.errors import VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.holds import Holds, Undone, UndoState
from holdstill_lvm2 import mapper
from holdstill_lvm2.lvm import LogicalVolume, Lvm, program

KIND: Final = "lvm2.metadata-snapshot"
VERSION: Final = 1
#: one run of blocks in what thin_delta(8) prints
_RUN: Final = re.compile(r'<(\w+) begin="(\d+)" length="(\d+)"/>')
_DIFFERENT: Final = ("different", "left_only", "right_only")
#: reserves, and writes down what it got: one program after the other, which go on when we are killed between them
_RESERVE: Final = '"$1" message "$2" 0 reserve_metadata_snap || exit 9; "$1" status "$2" >"$3"'
_NOT_RESERVED: Final = 9


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
    root = _root_if_any(lvm, pool)
    if root in ("-", None):
        _throw_away(data)
        return Undone(UndoState.ABSENT)
    ours = data.get("root") or _noted(data)
    if root != ours:
        return Undone(UndoState.REFUSED, f"metadata snapshot {root} of that pool {_doubt(ours)}")
    ran = lvm.change("dmsetup", "message", mapper.name(lvm, pool), "0", "release_metadata_snap")
    if not ran.ok:
        return Undone(UndoState.UNKNOWN, f"the metadata snapshot cannot be released: {ran.said}")
    _throw_away(data)
    return Undone(UndoState.REMOVED, "the metadata snapshot is released")


def _doubt(ours: str) -> str:
    if ours:
        return f"is not ours: that was {ours}"
    return (
        "is not provably ours: the run ended before anybody could write down which it was."
        " If nothing here compares thin volumes now (thin_delta, thin_dump), it may be released by hand"
    )


@contextlib.contextmanager
def _reserved(lvm: Lvm, holds: Holds, pool: LogicalVolume) -> Iterator[None]:
    uuid = pool.mapped + "-tpool"
    if _root(lvm, uuid) != "-":
        raise VolumeUnusable("somebody has reserved the metadata snapshot of its pool", subject=pool.full_name)
    name = mapper.name(lvm, uuid)
    steady = Lvm(lvm.runner, patient=True)
    with tempfile.TemporaryDirectory(prefix="holdstill-") as folder:
        by_hand = f"dmsetup message {name} 0 release_metadata_snap"
        paper = f"{folder}/status"
        data = {"what": f"metadata snapshot of {pool.full_name}", "pool": uuid, "paper": paper}
        line = holds.hold(KIND, data, by_hand=by_hand, version=VERSION)
        ran = lvm.change("sh", "-c", _RESERVE, "sh", program("dmsetup"), name, paper)
        data["root"] = "-" if ran.code == _NOT_RESERVED else _noted(data) or _root(steady, uuid)
        if data["root"] == "-":
            line.drop()
            raise VolumeUnusable(f"the pool's metadata snapshot cannot be reserved: {ran.said}", subject=pool.full_name)
        try:
            line.update(root=data["root"])
            yield
        finally:
            if undo(steady, data).state in (UndoState.REMOVED, UndoState.ABSENT):
                line.drop()


def _noted(data: dict[str, str]) -> str:
    """What the shell wrote down; empty if it did not come to that, or if anybody else can have written it."""
    paper = Path(data.get("paper", ""))
    try:
        if paper.parent.lstat().st_uid != os.geteuid():
            return ""
        status = mapper.pool_status(mapper.parsed(paper.read_text()), 1)
    except (OSError, ValueError):
        return ""
    return status.held_root if status is not None and status.held_root != "-" else ""


def _throw_away(data: dict[str, str]) -> None:
    """What the shell wrote down, with its folder."""
    with contextlib.suppress(OSError, KeyError):
        paper = Path(data["paper"])
        paper.unlink(missing_ok=True)
        paper.parent.rmdir()


def _root_if_any(lvm: Lvm, uuid: str) -> str | None:
    """Where the metadata snapshot of a pool is, ``-`` if there is none; None if there is no such pool."""
    found = mapper.status(lvm, uuid)
    status = mapper.pool_status(found, 1) if found is not None else None
    return status.held_root if status is not None else None


def _root(lvm: Lvm, uuid: str) -> str:
    root = _root_if_any(lvm, uuid)
    if root is None:
        raise VolumeUnusable("the thin pool is not there")
    return root


def _runs(xml: str, block_size: int) -> Extents:
    rows = [(int(begin), int(length)) for kind, begin, length in _RUN.findall(xml) if kind in _DIFFERENT]
    table = np.array(rows, dtype=np.int64).reshape(-1, 2) * block_size
    return Extents.from_arrays(table[:, 0], table[:, 1])
