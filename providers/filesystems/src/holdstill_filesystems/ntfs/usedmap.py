"""The used clusters of an NTFS, from its volume alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents, union_of
from holdstill.spi.reader import Reader
from holdstill_filesystems.bits import from_packed
from holdstill_filesystems.ntfs.boot import Boot
from holdstill_filesystems.ntfs.records import FileRecord, Kind
from holdstill_filesystems.ntfs.state import log_is_empty, refuse_unless_in_order
from holdstill_filesystems.ntfs.table import MFT, FileTable, Stream
from holdstill_filesystems.ntfs.witnesses import in_files
from holdstill_filesystems.tail import behind

_MIRROR, _BITMAP = 1, 6
#: the files that every NTFS has; what they lie in is in use whatever the bitmap says
_SYSTEM_FILES: Final = range(12)
#: how many records the mirror of the file table repeats, at least
_MIRRORED: Final = 4
#: bytes of the bitmap that make a window: at most a million runs can come of them
_WINDOW: Final = 1 << 18


def used_blocks(reader: Reader) -> BlockMap:
    """The map of the NTFS in ``reader``. Raises ``StructureFault`` where there is none to be trusted."""
    boot = Boot.read(reader)
    table = FileTable(reader, boot)
    _check_mirror(boot, table)
    refuse_unless_in_order(reader, table)
    bitmap = table.stream(_BITMAP, Kind.DATA)
    if bitmap.resident is not None or bitmap.size * 8 < boot.clusters:
        raise StructureFault(f"its bitmap has {bitmap.size} bytes for {boot.clusters} clusters")
    must = union_of([table.extents, *(table.extents_of(number) for number in _SYSTEM_FILES)])
    files = in_files(table) if log_is_empty(table) else Extents.none()
    end = min(boot.copy_at + boot.sector_size, reader.size)
    notes: list[str] = []
    tail = behind(reader, end, notes)
    last = boot.clusters * boot.cluster_size
    rest = Extents.of((last, end - last)).union(tail)
    return BlockMap(boot.cluster_size, _in_a_row(_marked(boot, bitmap, must, files), rest), tuple(notes))


def _check_mirror(boot: Boot, table: FileTable) -> None:
    """The first records are kept twice. Raises ``StructureFault`` where the two differ."""
    mirror = table.stream(_MIRROR, Kind.DATA)
    if mirror.resident is not None or int(mirror.runs.at[0]) != boot.record["mirror"]:
        raise StructureFault("the mirror of the file table does not begin where the boot sector says")
    for number in range(MFT, _MIRRORED):
        at = number * boot.record_size
        copy = FileRecord.parse(mirror.read(at, boot.record_size), at, number)
        if copy.data != table.record(number).data:
            raise StructureFault(f"record {number} of the file table differs from its mirror")


def _marked(boot: Boot, bitmap: Stream, must: Extents, files: Extents) -> Iterator[Extents]:
    """What the bitmap marks, in bytes, window by window; ``must`` and ``files`` have to be."""
    size = boot.cluster_size
    for at in range(0, -(-boot.clusters // 8), _WINDOW):
        bits = bitmap.read(at, min(_WINDOW, -(-boot.clusters // 8) - at))
        start, end = at * 8 * size, min((at + len(bits)) * 8, boot.clusters) * size
        packed = np.frombuffer(bits, dtype=np.uint8)
        marked = from_packed(packed, size, start).clip(start, end) if packed.any() else Extents.none()
        for whose, places in (("system file", must), ("file", files)):
            unmarked = places.clip(start, end).difference(marked)
            if unmarked:
                raise StructureFault(f"its bitmap shows a {whose}'s cluster at byte {int(unmarked.starts[0])} as free")
        yield marked


def _in_a_row(windows: Iterator[Extents], rest: Extents) -> Iterator[Extents]:
    yield from windows
    if rest:
        yield rest
