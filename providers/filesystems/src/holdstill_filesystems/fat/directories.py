"""What the directories of a FAT volume say is in use: the first cluster of each file and directory.

Linux reads that one without asking the table (fs/fat/cache.c, ``fat_get_cluster``); and cameras and the like
seldom leave a mark that they were cut off. Source: Microsoft "FAT: General Overview of On-Disk Format" 1.03.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.fat.bootsector import BootSector
from holdstill_filesystems.fat.table import Packed, following, marked

#: directories of more clusters than this together are not looked through
_MOST_CLUSTERS: Final = 1 << 20
_ENTRY: Final = np.dtype(
    {
        "names": ["name", "attributes", "high", "low"],
        "formats": ["u1", "u1", "<u2", "<u2"],
        "offsets": [0, 11, 20, 26],
        "itemsize": 32,
    }
)
#: first bytes of a name: no further entries; deleted; the directory itself and the one above
_END, _DELETED, _DOT = 0x00, 0xE5, 0x2E
#: bits of ``attributes``: a label, or a part of a long name; a directory
_LABEL, _DIRECTORY = 0x08, 0x10


def check_starts(reader: Reader, boot: BootSector, used: Packed) -> None:
    """Raise ``StructureFault`` where a file or directory begins in a cluster that is free, or does not exist."""
    waiting, seen = [], set[int]()
    if boot.is_fat32:
        waiting.append(int(boot.record["root_cluster"]))
    else:
        root = int(boot.record["root_entries"]) * 32
        waiting += _subdirectories(boot, used, reader.read(boot.data_start - root, root))
    while waiting:
        for data in _clusters(reader, boot, waiting.pop(), seen):
            waiting += _subdirectories(boot, used, data)
            if _END in data[::32]:
                break


def _clusters(reader: Reader, boot: BootSector, cluster: int, seen: set[int]) -> Iterator[bytes]:
    """What a directory holds, cluster by cluster; none of them is read twice."""
    while 2 <= cluster < boot.clusters + 2 and cluster not in seen:
        if len(seen) >= _MOST_CLUSTERS:
            raise StructureFault(f"its directories have more than {_MOST_CLUSTERS} clusters")
        seen.add(cluster)
        yield reader.read(boot.data_start + (cluster - 2) * boot.cluster_size, boot.cluster_size)
        cluster = following(reader, boot, cluster)


def _subdirectories(boot: BootSector, used: Packed, data: bytes) -> list[int]:
    """Where the directories in this piece of one begin; what begins in a free cluster is a fault."""
    entries = np.frombuffer(data, dtype=_ENTRY)
    ends = np.flatnonzero(entries["name"] == _END)
    entries = entries[: ends[0]] if ends.size else entries
    names, attributes = entries["name"], entries["attributes"]
    entries = entries[(names != _DELETED) & (names != _DOT) & (attributes & _LABEL == 0)]
    starts: NDArray[np.int64] = entries["low"].astype(np.int64)
    if boot.is_fat32:
        starts |= (entries["high"].astype(np.int64) & 0x0FFF) << 16
    known = (starts >= 2) & (starts < boot.clusters + 2)
    known[known] = marked(used, starts[known])
    wrong = np.flatnonzero(~known & (starts != 0))
    if wrong.size:
        raise StructureFault(f"a file begins in cluster {int(starts[wrong[0]])}, which is free or does not exist")
    return [int(start) for start in starts[(entries["attributes"] & _DIRECTORY > 0) & known]]
