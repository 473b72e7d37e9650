"""The used blocks of an exFAT volume, from the volume alone.

The bitmap of clusters is a file that the root directory names. Nothing guards it: what is checked is how it is found,
that it calls itself, the root directory and the up-case table used, and the two marks of a volume left unwell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.bits import from_packed
from holdstill_filesystems.exfat.bootregion import BootRegion
from holdstill_filesystems.fields import Layout, Record
from holdstill_filesystems.tail import behind

#: how many bytes of the bitmap make a window; at most four times as many runs come of them
_WINDOW: Final = 1 << 18
#: the bitmap is looked for in so much of the root directory, bytes; formatters put it into the first entries
_LOOKED_THROUGH: Final = 1 << 20
#: an up-case table of all 65536 letters (section 7.2)
_LARGEST_UPCASE: Final = 1 << 17
_LAST: Final = 0xFFFFFFFF
_ENTRY: Final = 32
#: types of directory entries (section 6 and 7): no further ones, the bitmap, the up-case table
_END, _BITMAP, _UPCASE = 0x00, 0x81, 0x82

_FILE: Final = Layout(
    "directory entry",
    _ENTRY,
    "<",
    "Microsoft exFAT file system specification, tables 20 and 23",
    (("type", 0, "B"), ("flags", 1, "B"), ("first_cluster", 20, "I"), ("length", 24, "Q")),
)


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the exFAT volume in ``reader``, or why there is none. Raises ``StructureFault``."""
    boot = BootRegion.read(reader)
    reason = boot.distrust()
    if reason:
        return WholeVolume(reason)
    root = _Root.read(reader, boot)
    bitmap = root.bitmap
    bitmap.require("flags", bitmap["flags"] == 0, "it is the bitmap of a second table")
    expected = -(-boot.clusters // 8)
    bitmap.require("length", bitmap["length"] == expected, f"a bitmap of all clusters has {expected} bytes")
    upcase = root.upcase
    upcase.require("length", 0 < upcase["length"] <= _LARGEST_UPCASE, f"it has at most {_LARGEST_UPCASE} bytes")
    marked = np.concatenate((root.clusters, _in_a_row(reader, boot, bitmap), _in_a_row(reader, boot, upcase)))
    _check_marked(reader, boot.place(bitmap["first_cluster"]), marked)
    notes: list[str] = []
    tail = behind(reader, boot.size, notes)
    windows = _windows(reader, boot, boot.place(bitmap["first_cluster"]), tail)
    return BlockMap(boot.cluster_size, windows, tuple(notes))


@attrs.frozen(eq=False)
class _Root:
    """What the root directory says of the volume's own files."""

    clusters: NDArray[np.int64]
    """Those of the directory that were looked through."""
    bitmap: Record
    upcase: Record

    @classmethod
    def read(cls, reader: Reader, boot: BootRegion) -> _Root:
        found: dict[int, Record] = {}
        clusters: list[int] = []
        cluster = int(boot.record["root_cluster"])
        while len(clusters) * boot.cluster_size < _LOOKED_THROUGH:
            clusters.append(cluster)
            ended = cls._look_through(reader, boot.place(cluster), boot.cluster_size, found)
            if len(found) == 2:
                return cls(np.array(clusters, dtype=np.int64), found[_BITMAP], found[_UPCASE])
            cluster = int(_followers(reader, boot, cluster, 1)[0])
            if ended or cluster == _LAST:
                break
            if not 2 <= cluster < boot.clusters + 2:
                raise StructureFault(f"the root directory goes on in cluster {cluster}, which does not exist")
        raise StructureFault("the root directory does not name both a bitmap and an up-case table")

    @staticmethod
    def _look_through(reader: Reader, start: int, length: int, found: dict[int, Record]) -> bool:
        """Keep the entries that matter; is this the end of the directory?"""
        raw = reader.read(start, min(length, _LOOKED_THROUGH))
        types = np.frombuffer(raw, dtype=np.uint8)[::_ENTRY]
        ends = np.flatnonzero(types == _END)
        here = types[: ends[0]] if ends.size else types
        for kind in (_BITMAP, _UPCASE):
            places = np.flatnonzero(here == kind) * _ENTRY
            if places.size > 1 or (places.size and kind in found):
                raise StructureFault(f"the root directory has more than one entry of type 0x{kind:x}")
            for at in places.tolist():
                found[kind] = _FILE.parse(raw[at : at + _ENTRY], start + at)
        return bool(ends.size)


def _followers(reader: Reader, boot: BootRegion, first: int, count: int) -> NDArray[np.uint32]:
    """Which cluster follows each of these, by the table."""
    return np.frombuffer(reader.read(boot.table_start + first * 4, count * 4), dtype="<u4").astype(np.uint32)


def _in_a_row(reader: Reader, boot: BootRegion, file: Record) -> NDArray[np.int64]:
    """The clusters of a file of the volume itself, which follow each other on the disk. Raises ``StructureFault``.

    Drivers read the bitmap without asking the table; a file of another shape would be read in another way than theirs.
    """
    first, count = int(file["first_cluster"]), -(-int(file["length"]) // boot.cluster_size)
    inside = count > 0 and first >= 2 and first + count <= boot.clusters + 2
    file.require("first_cluster", inside, "it leads out of the volume")
    for at in range(first, first + count, _WINDOW):
        here = np.arange(at, min(at + _WINDOW, first + count))
        expected = np.where(here == first + count - 1, _LAST, here + 1)
        file.require(
            "first_cluster",
            bool((_followers(reader, boot, at, here.size) == expected).all()),
            "its clusters do not follow each other",
        )
    return np.arange(first, first + count)


def _check_marked(reader: Reader, start: int, clusters: NDArray[np.int64]) -> None:
    """The bitmap calls these used, itself among them."""
    places = np.unique(clusters - 2)
    heads = np.flatnonzero(np.diff(places // (_WINDOW * 8))) + 1
    for part in np.split(places, heads):
        first, past = int(part[0]) >> 3, (int(part[-1]) >> 3) + 1
        packed = np.frombuffer(reader.read(start + first, past - first), dtype=np.uint8)
        free = part[packed[(part >> 3) - first] >> (part & 7) & 1 == 0]
        if free.size:
            raise StructureFault(f"the bitmap calls cluster {int(free[0]) + 2} free, which holds metadata")


def _windows(reader: Reader, boot: BootRegion, start: int, tail: Extents) -> Iterator[Extents]:
    yield Extents.of((0, boot.data_start))
    length = -(-boot.clusters // 8)
    for at in range(0, length, _WINDOW):
        packed = np.frombuffer(reader.read(start + at, min(_WINDOW, length - at)), dtype=np.uint8)
        base = boot.data_start + at * 8 * boot.cluster_size
        yield from_packed(packed, boot.cluster_size, base).clip(base, boot.data_end)
    yield Extents.of((boot.data_end, boot.size - boot.data_end)).union(tail)
