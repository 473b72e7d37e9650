"""What all records of the file table say is in use: the only witnesses of a bitmap that no log stands behind.

ntfs-3g empties the log when it mounts a volume, writes in no order, and leaves no mark: after a power cut files may be
there whose clusters the bitmap still calls free. Source: libntfs-3g/logfile.c (``ntfs_empty_logfile``), volume.c.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems.ntfs.records import RECORD, FileRecord
from holdstill_filesystems.ntfs.runs import Runs
from holdstill_filesystems.ntfs.table import FileTable

#: bytes of the file table that are looked at together
_BATCH: Final = 1 << 20
#: more records than this are not asked, and more runs than this not kept in memory
_MOST_RECORDS, _MOST_RUNS = 1 << 22, 1 << 23
_IN_USE: Final = 1


def in_files(table: FileTable) -> Extents:
    """Where the values of all files lie, holes left out, in bytes. Raises ``StructureFault``."""
    if table.records > _MOST_RECORDS:
        raise StructureFault(f"its log is empty, and its file table has {table.records} records: too many to ask all")
    width = max(1, _BATCH // table.boot.record_size)
    parts, runs = list[Extents](), 0
    for at in range(0, table.records, width):
        parts.append(_in_records(table, at, min(width, table.records - at)))
        runs += len(parts[-1])
        if runs > _MOST_RUNS:
            raise StructureFault(f"its log is empty, and its files lie in more than {_MOST_RUNS} runs: too many to ask")
    return union_of(parts)


def _in_records(table: FileTable, first: int, count: int) -> Extents:
    size = table.boot.record_size
    data = table.bytes_of(first, count)
    flags = np.frombuffer(data, dtype=np.uint8).reshape(count, size)[:, RECORD.offset_of("flags")]
    rows: list[tuple[int, int, int]] = []
    for number in (np.flatnonzero(flags & _IN_USE) + first).tolist():
        at = (number - first) * size
        record = FileRecord.parse(data[at : at + size], table.place_of(number), number)
        rows += table.runs_in(record)
    return Runs.of(rows).extents(table.boot.cluster_size)
