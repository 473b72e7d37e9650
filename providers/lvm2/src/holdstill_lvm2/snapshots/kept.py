"""The last snapshot of a thin volume, kept so that the next one can be compared with it by the pool's own metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from holdstill.errors import HoldstillError
from holdstill.model.extents import Extents
from holdstill.spi.holds import Holds
from holdstill_lvm2.lvm import LogicalVolume, Lvm
from holdstill_lvm2.snapshots import delta

#: the tag of a snapshot that is kept begins so, and goes on with who keeps it
_TAG: Final = "holdstill-kept-"


def mark_of(snapshot: LogicalVolume, pool: LogicalVolume) -> dict[str, str]:
    """All that must be the same when the next snapshot is compared with this one."""
    return {
        "group": snapshot.group.uuid,
        "pool": pool.uuid,
        "block_size": str(pool.chunk_size),
        "origin": snapshot.origin_uuid,
        "snapshot": snapshot.uuid,
        "thin_id": str(snapshot.thin_id),
        "transaction": str(snapshot.transaction),
        "size": str(snapshot.size),
    }


def changed_since(
    lvm: Lvm, holds: Holds, mark: Mapping[str, str], now: LogicalVolume, pool: LogicalVolume
) -> Extents | str:
    """What differs between the snapshot that is kept and ``now``; or why that cannot be told.

    A kept snapshot could have been written to only if it was made writable: then what was written is a difference too.
    """
    try:
        kept = {volume.uuid: volume for volume in lvm.volumes(now.group.uuid)}.get(mark.get("snapshot", ""))
        if kept is None:
            return "the snapshot that was kept is gone"
        if not any(tag.startswith(_TAG) for tag in kept.tags) or dict(mark) != mark_of(kept, pool):
            return "the snapshot that was kept is not what it was"
        if (kept.origin_uuid, kept.pool_uuid, kept.size) != (now.origin_uuid, now.pool_uuid, now.size):
            return "the snapshot that was kept is of another volume, in another pool, or of another size"
        return delta.between(lvm, holds, pool, kept.thin_id, now.thin_id).clip(0, now.size)
    except HoldstillError as error:
        return f"what changed cannot be told: {error}"


def keep(lvm: Lvm, snapshot: LogicalVolume, keeper: str) -> None:
    """Tag it as kept; it needs no device meanwhile, and gets none when the host starts. Raises ``HoldstillError``."""
    tag = _tag(keeper)
    lvm.must("lvchange", "--addtag", tag, "--setactivationskip", "y", snapshot.full_name)
    lvm.change("lvchange", "--activate", "n", snapshot.full_name)
    let_go(lvm, snapshot, keeper)


def let_go(lvm: Lvm, snapshot: LogicalVolume, keeper: str) -> None:
    """Remove what is kept for ``keeper`` of the origin of ``snapshot``, but not that one."""
    tag = _tag(keeper)
    for volume in lvm.volumes(snapshot.group.uuid):
        if volume.origin_uuid == snapshot.origin_uuid and tag in volume.tags and volume.uuid != snapshot.uuid:
            chosen = f'lv_uuid="{volume.uuid}" && lv_tags="{tag}"'
            lvm.change("lvremove", "--yes", "--force", "-S", chosen, volume.group.name)


def _tag(keeper: str) -> str:
    return _TAG + hashlib.sha256(keeper.encode()).hexdigest()[:12]
