"""How much space an external snapshot gets."""

from __future__ import annotations

from typing import Final

from holdstill.errors import NoProvider
from holdstill.model.sizes import human, size
from holdstill_jfs2.commands import Group

#: without a wish: this share of the volume, and no less than so many bytes
_SHARE: Final = 15
_LEAST: Final = 64 << 20
#: a store keeps a page of its own for each 31 blocks, two maps and a superblock (AIX j2/j2_snapshot.h); bytes
_SEGMENT, _BLOCKS = 32, 31
_FIXED: Final = 1 << 20


def planned(volume_size: int, group: Group, wish: str, subject: str) -> int:
    """How many partitions. Raises ``NoProvider`` if the group has not so many: known before anything is made."""
    wanted = _wished(volume_size, wish)
    count = max(1, -(-wanted // group.partition))
    if count > group.free:
        need, have = count * group.partition, group.free * group.partition
        raise NoProvider(
            f"a snapshot needs {human(need)} ({count} partitions) in volume group {group.name}, and {human(have)}"
            f" ({group.free} partitions) are free there",
            subject=subject,
            next_step="make room in the group (extendvg, rmlv), or ask for less with --snapshot-cache-size",
        )
    return count


def _wished(volume_size: int, wish: str) -> int:
    if wish and not wish.endswith("%"):
        return size(wish)
    if wish:
        return with_maps(volume_size * int(wish.removesuffix("%")) // 100)
    return max(_LEAST, with_maps(volume_size * _SHARE // 100))


def with_maps(length: int) -> int:
    """What so many bytes of old blocks take in a store."""
    return -(-length // _BLOCKS) * _SEGMENT + _FIXED
