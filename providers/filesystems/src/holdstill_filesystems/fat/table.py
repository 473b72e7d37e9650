"""The file allocation table: one entry for each cluster, and no checksum but its own copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.fat.bootsector import BootSector

Entries = NDArray[np.uint32]
#: one bit for each cluster, the lowest bit of byte 0 for cluster 2
Packed = NDArray[np.uint8]

#: how many entries are looked at together; a multiple of 8, so that windows meet between bytes of a bitmap
_WINDOW: Final = 1 << 20
#: what entry 1 says of the whole, by the bits of an entry: unmounted cleanly, no error met
_CLEAN: Final = {16: (0x8000, 0x4000), 32: (0x08000000, 0x04000000)}


def used_clusters(reader: Reader, boot: BootSector) -> tuple[Packed, int]:
    """Which clusters are not free (at most 32 MiB), and how many are.

    Raises ``StructureFault`` where copies differ, an entry leads to a cluster that does not exist or is free, or the
    first two entries do not vouch for the others.
    """
    used = np.zeros(-(-boot.clusters // 8), dtype=np.uint8)
    free = boot.clusters
    _check_first(boot, _decoded(boot, _agreed(reader, boot, 0, 2), 2))
    for first, count in _windows(boot):
        entries = _decoded(boot, _agreed(reader, boot, first, count), count)
        _check_values(boot, first, entries)
        bits = np.packbits(entries != 0, bitorder="little")
        used[(first - 2) // 8 : (first - 2) // 8 + bits.size] = bits
        free -= int(np.count_nonzero(entries))
    for first, count in _windows(boot):
        _check_chains(boot, first, _decoded(boot, _raw(reader, boot, 0, first, count), count), used)
    if boot.is_fat32:
        root = boot.record["root_cluster"]
        boot.record.require("root_cluster", bool(marked(used, np.array([root]))[0]), "the table calls it free")
    return used, free


def _windows(boot: BootSector) -> Iterator[tuple[int, int]]:
    """The first cluster of each window, and how many there are."""
    for first in range(2, boot.clusters + 2, _WINDOW):
        yield first, min(_WINDOW, boot.clusters + 2 - first)


def _agreed(reader: Reader, boot: BootSector, first: int, count: int) -> bytes:
    """These entries as they lie in the first copy, and in every other one."""
    raw = _raw(reader, boot, 0, first, count)
    for copy in range(1, boot.copies):
        if _raw(reader, boot, copy, first, count) != raw:
            raise StructureFault(f"copy {copy + 1} of the table differs from the first, at cluster {first} or later")
    return raw


def _raw(reader: Reader, boot: BootSector, copy: int, first: int, count: int) -> bytes:
    """These entries of one copy; ``first`` is even, so that entries of 12 bits begin with a byte."""
    start = boot.table_start + copy * boot.table_size + first * boot.bits // 8
    return reader.read(start, -(-count * boot.bits // 8))


def _decoded(boot: BootSector, raw: bytes, count: int) -> Entries:
    """The entries, without the four bits of FAT32 that mean nothing."""
    if boot.bits == 32:
        return np.frombuffer(raw, dtype="<u4").astype(np.uint32) & np.uint32(0x0FFFFFFF)
    if boot.bits == 16:
        return np.frombuffer(raw, dtype="<u2").astype(np.uint32)
    pairs = np.frombuffer(raw + bytes(-len(raw) % 3), dtype=np.uint8).reshape(-1, 3).astype(np.uint32)
    lower, upper = pairs[:, 0] | (pairs[:, 1] & 15) << 8, pairs[:, 1] >> 4 | pairs[:, 2] << 4
    return np.stack((lower, upper), axis=1).reshape(-1)[:count].astype(np.uint32)


def _check_first(boot: BootSector, entries: Entries) -> None:
    """Entry 0 repeats the medium, entry 1 says how the volume was left."""
    all_ones = (1 << min(boot.bits, 28)) - 1
    expected = all_ones & ~0xFF | boot.record["media"]
    if entries[0] != expected:
        raise StructureFault(f"entry 0 of the table is 0x{entries[0]:x}, it should be 0x{expected:x}")
    for bit, meaning in zip(_CLEAN.get(boot.bits, ()), ("was not unmounted cleanly", "has errors"), strict=False):
        if not entries[1] & bit:
            raise StructureFault(f"entry 1 of the table says that the volume {meaning}")


def _check_values(boot: BootSector, first: int, entries: Entries) -> None:
    """Free, the next cluster, bad, or the last one: there is nothing else."""
    lowest_mark = (1 << min(boot.bits, 28)) - 9
    wrong = np.flatnonzero((entries == 1) | (entries >= boot.clusters + 2) & (entries < lowest_mark))
    if wrong.size:
        raise StructureFault(
            f"cluster {first + int(wrong[0])} is followed by cluster {entries[wrong[0]]}, which does not exist"
        )


def _check_chains(boot: BootSector, first: int, entries: Entries, used: Packed) -> None:
    """No file goes on in a cluster that is free."""
    links = np.flatnonzero((entries >= 2) & (entries < boot.clusters + 2))
    lost = links[~marked(used, entries[links])]
    if lost.size:
        raise StructureFault(f"cluster {first + int(lost[0])} is followed by cluster {entries[lost[0]]}, which is free")


def following(reader: Reader, boot: BootSector, cluster: int) -> int:
    """What the table says of this cluster: the next one of its file, or a number past all clusters."""
    first = cluster & ~1
    return int(_decoded(boot, _raw(reader, boot, 0, first, 2), 2)[cluster - first])


def marked(used: Packed, clusters: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of these clusters, which exist, are in use."""
    places = clusters.astype(np.int64) - 2
    found: NDArray[np.bool_] = (used[places >> 3] >> (places & 7) & 1).astype(np.bool_)
    return found
