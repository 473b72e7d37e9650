"""How much space a thick snapshot gets (docs/explanation/lvm2.md, "Space")."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.errors import NoProvider
from holdstill.model.sizes import size
from holdstill_lvm2.lvm import LogicalVolume

#: what LVM uses unless told otherwise, and so do we: bytes
CHUNK: Final = 4096
#: without a wish: this share of the volume, and no less than this many bytes
_SHARE: Final = 15
_LEAST: Final = 256 << 20


@attrs.frozen
class Space:
    """What is asked for, in extents."""

    extents: int
    enough: bool
    """Is it so much that it cannot run out, whatever is written to the volume?"""


def planned(origin: LogicalVolume, wish: str) -> Space:
    """Raises ``NoProvider`` if the group has not so much: it is known before anything is made."""
    group = origin.group
    most = _extents(most_needed(origin.size), group.extent_size)
    wanted = min(most, _extents(_wished(origin.size, wish), group.extent_size))
    if wanted > group.free_extents:
        need, have = wanted * group.extent_size, group.free_extents * group.extent_size
        raise NoProvider(
            f"a snapshot needs {_told(need)} in volume group {group.name}, and {_told(have)} are free there",
            subject=origin.full_name,
            next_step="make room in the group (vgextend, lvremove), or ask for less with --snapshot-cache-size",
        )
    return Space(wanted, enough=wanted >= most)


def most_needed(volume_size: int) -> int:
    """What the kernel fills at most when every chunk of the volume is written to: the chunks, the header, and 16
    bytes for each of them, in areas of one chunk (drivers/md/dm-snap-persistent.c).
    """
    chunks = -(-volume_size // CHUNK)
    areas = -(-chunks // (CHUNK // 16)) + 1
    return (1 + areas + chunks) * CHUNK


def _wished(volume_size: int, wish: str) -> int:
    if not wish:
        return max(_LEAST, volume_size * _SHARE // 100)
    if wish.endswith("%"):
        return most_needed(volume_size) * int(wish.removesuffix("%")) // 100  # all of it: it cannot run out
    return size(wish)


def _extents(length: int, extent_size: int) -> int:
    return max(1, -(-length // extent_size))


def _told(length: int) -> str:
    return f"{length / (1 << 20):.0f} MiB" if length < 10 << 30 else f"{length / (1 << 30):.1f} GiB"
