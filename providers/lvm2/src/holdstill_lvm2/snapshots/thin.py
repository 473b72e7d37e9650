"""A thin snapshot: it shares the blocks of its pool, and takes more only as they are written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from holdstill.errors import NoProvider, VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.holds import Holds
from holdstill.spi.still import Fill
from holdstill_lvm2 import mapper
from holdstill_lvm2.lvm import LogicalVolume, Lvm
from holdstill_lvm2.mapper import PoolStatus
from holdstill_lvm2.snapshots import kept
from holdstill_lvm2.snapshots.given_back import GivenBack
from holdstill_lvm2.snapshots.made import made_by
from holdstill_lvm2.snapshots.still import Health

#: a pool whose data or metadata are fuller than this, in hundredths, gets no snapshot: its volumes come first
_FULL: Final = 95


@attrs.frozen
class Pool:
    """The pool of a thin volume, and how full it was before anything was made."""

    volume: LogicalVolume
    before: PoolStatus


def plan(lvm: Lvm, origin: LogicalVolume, pool_volume: LogicalVolume) -> Pool:
    """How its pool is. Raises ``NoProvider`` for one that is in trouble, or so full that it soon would be."""
    pool = status_of(lvm, pool_volume)
    if pool is None:
        raise NoProvider(f"its thin pool {origin.pool} is not active", subject=origin.full_name)
    if pool.trouble:
        raise NoProvider(f"{pool.trouble}: {origin.group.name}/{origin.pool}", subject=origin.full_name)
    for what, fill in (("data", pool.data), ("metadata", pool.metadata)):
        share = fill.used * 100 // max(1, fill.size)
        if share >= _FULL:
            raise NoProvider(
                f"the {what} of thin pool {origin.group.name}/{origin.pool} is {share}% full",
                subject=origin.full_name,
                next_step="make the pool larger (lvextend), or discard in its volumes (fstrim)",
            )
    return Pool(pool_volume, pool)


def make(lvm: Lvm, holds: Holds, origin: LogicalVolume, planned: Pool, back: GivenBack) -> tuple[LogicalVolume, Health]:
    """The snapshot, active: LVM would else mark it to be skipped at activation."""
    ours = back.ours
    ran = lvm.change(
        *("lvcreate", "--snapshot", "--yes", "--permission", "r", "--setactivationskip", "n"),
        *("--name", ours.name, "--addtag", ours.tag, origin.full_name),
    )
    made = made_by(ran, lvm, ours, origin)
    back.known(attrs.evolve(ours, uuid=made.uuid))
    if not made.is_thin or made.pool_uuid != origin.pool_uuid:
        raise VolumeUnusable(
            f"the snapshot is not in the pool of its origin: {made.attributes}", subject=made.full_name
        )
    return made, ThinHealth(lvm, holds, made, planned)


def status_of(lvm: Lvm, pool: LogicalVolume) -> PoolStatus | None:
    """What the kernel says of a thin pool; None if it is not active."""
    found = mapper.status(lvm, pool.mapped + "-tpool")
    return mapper.pool_status(found, pool.chunk_size) if found is not None else None


class ThinHealth(Health):
    """A thin snapshot is lost with its pool, and with nothing less."""

    def __init__(self, lvm: Lvm, holds: Holds, made: LogicalVolume, pool: Pool) -> None:
        self._lvm = lvm
        self._holds = holds
        self._made = made
        self._pool = pool

    def lost(self) -> str | None:
        """Whether snapshot and pool are there, and the pool can be believed."""
        found = mapper.status(self._lvm, self._made.mapped)
        if found is None:
            return "the snapshot is gone: somebody removed it"
        if found.target != "thin" or found.words[:1] in (("Fail",), ("Error",)):
            return f"the snapshot failed: {found.target} {' '.join(found.words)}"
        pool = status_of(self._lvm, self._pool.volume)
        if pool is None:
            return "the thin pool is gone"
        if pool.mode in ("Fail", "Error") or pool.needs_check:
            return pool.trouble
        return None

    def mark(self) -> dict[str, str]:
        """All that the next one must find as it is now."""
        return kept.mark_of(self._made, self._pool.volume)

    def changed_since(self, mark: Mapping[str, str]) -> Extents | str:
        """By the pool's metadata."""
        return kept.changed_since(self._lvm, self._holds, mark, self._made, self._pool.volume)

    def keep(self, keeper: str) -> None:
        """In place of the one that was kept before."""
        kept.keep(Lvm(self._lvm.runner, patient=True), self._made, keeper)

    def let_go(self, keeper: str) -> None:
        """Of the one that was kept before."""
        kept.let_go(Lvm(self._lvm.runner, patient=True), self._made, keeper)

    def fill(self) -> Fill | None:
        """Of what was free in the pool when the snapshot was made: who else writes there takes from it too. Counted
        in data, or in metadata where that runs out first.
        """
        pool = status_of(self._lvm, self._pool.volume)
        if pool is None:
            return None
        data = _since(self._pool.before.data, pool.data)
        metadata = _since(self._pool.before.metadata, pool.metadata)
        return max(data, metadata, key=lambda fill: fill.used / fill.size)


def _since(before: Fill, now: Fill) -> Fill:
    return Fill(max(0, now.used - before.used), max(1, now.size - before.used))
