"""The used blocks of a FAT volume, from the volume alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.bits import from_packed
from holdstill_filesystems.fat.bootsector import BootSector
from holdstill_filesystems.fat.directories import check_starts
from holdstill_filesystems.fat.table import Packed, used_clusters
from holdstill_filesystems.tail import behind

#: how many bytes of the bitmap make a window; at most four times as many runs come of them
_WINDOW: Final = 1 << 18


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the FAT volume in ``reader``, or why there is none. Raises ``StructureFault``.

    A cluster that the table calls bad counts as used: nobody says that what is there is worth nothing.
    """
    boot = BootSector.read(reader)
    reason = boot.distrust()
    if reason:
        return WholeVolume(reason)
    remembered = boot.free_clusters(reader)
    used, free = used_clusters(reader, boot)
    if remembered not in {None, free}:
        raise StructureFault(f"the FSInfo sector says that {remembered} clusters are free, the table has {free}")
    check_starts(reader, boot, used)
    notes: list[str] = []
    tail = behind(reader, boot.size, notes)
    return BlockMap(boot.cluster_size, _windows(boot, used, tail), tuple(notes))


def _windows(boot: BootSector, used: Packed, tail: Extents) -> Iterator[Extents]:
    yield Extents.of((0, boot.data_start))
    for at in range(0, used.size, _WINDOW):
        yield from_packed(used[at : at + _WINDOW], boot.cluster_size, boot.data_start + at * 8 * boot.cluster_size)
    yield Extents.of((boot.data_end, boot.size - boot.data_end)).union(tail)
