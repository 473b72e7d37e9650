"""Does the map hold, whatever recovery will make of the log?

It does after an unmount. It does too where recovery would write the superblock only: that is all a freeze leaves in the
log (fs/xfs/xfs_log.c, xfs_log_cover), with everything else carried out before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.xfs.log import BLOCK, Log, LogRecord
from holdstill_filesystems.xfs.superblock import Superblock

_FORMAT: Final = "Linux fs/xfs/libxfs/xfs_log_format.h, "
_OPERATION: Final = Layout(
    "operation in the log",
    12,
    ">",
    _FORMAT + "struct xlog_op_header",
    (("tid", 0, "I"), ("len", 4, "I"), ("client", 8, "B"), ("flags", 9, "B")),
)
_TRANSACTION: Final = 0x69
_START, _COMMIT, _UNMOUNT = 0x1, 0x2, 0x20
_HEADER_MAGIC: Final = 0x5452414E
_BUFFER: Final = 0x123C
#: flags of a logged buffer that say what is in it; all others change what recovery does with it
_BUFFER_TYPE: Final = 0xF800
#: what one bit of a logged buffer's map stands for
_PIECE: Final = 128
#: what a freeze changes of the superblock: counters, features of the log, checksum, the log's place
_MAY_CHANGE: Final = ((128, 160), (220, 228), (240, 248))

_NOT_SETTLED: Final = "the log holds changes that were not yet carried out: it was not unmounted, and not frozen"


def settled(superblock: Superblock, reader: Reader) -> bool:
    """True after an unmount, False after a freeze. Raises ``StructureFault`` after anything else."""
    log = Log(superblock, reader)
    last = log.last()
    if _is_unmount(last):
        return True
    held: dict[int, list[bytes]] = {}
    for record in log.since_tail(last):
        if superblock.checks and not record.sealed:
            raise record.header.fault("crc", "it has none")
        for tid, flags, data in _operations(record):
            if flags == _START and tid not in held:
                held[tid] = []
            elif flags == 0 and tid in held:
                held[tid].append(data)
            elif flags == _COMMIT and tid in held:
                _check_transaction(superblock, held.pop(tid), record.order)
            else:
                raise StructureFault(_NOT_SETTLED)
    if held:
        raise StructureFault(_NOT_SETTLED)
    return False


def _is_unmount(record: LogRecord) -> bool:
    operation = _OPERATION.parse(record.data, record.header.offset)
    return bool(record.header["num_logops"] == 1 and operation["flags"] & _UNMOUNT)


def _operations(record: LogRecord) -> Iterator[tuple[int, int, bytes]]:
    """Transaction, flags and data of each operation."""
    at = 0
    for _ in range(record.header["num_logops"]):
        operation = _OPERATION.parse(record.data[at : at + _OPERATION.size], record.header.offset)
        at += _OPERATION.size
        if operation["client"] != _TRANSACTION or operation["len"] > len(record.data) - at:
            raise StructureFault(_NOT_SETTLED)
        yield operation["tid"], operation["flags"], record.data[at : at + operation["len"]]
        at += operation["len"]


def _check_transaction(superblock: Superblock, regions: list[bytes], order: str) -> None:
    """A transaction that writes the superblock, and changes nothing that a map is made of."""
    if not regions:
        return
    if len(regions[0]) != 16 or struct.unpack_from(order + "I", regions[0])[0] != _HEADER_MAGIC:
        raise StructureFault("a transaction in the log does not begin as one")
    changed = bytearray(superblock.sector)
    at = 1
    while at < len(regions):
        buffer = regions[at]
        if len(buffer) < 24:
            raise StructureFault(_NOT_SETTLED)
        kind, count, flags, length, place, words = struct.unpack_from(order + "HHHHqI", buffer)
        sane = length * BLOCK == superblock.sector_size and words * 4 == len(buffer) - 20
        if kind != _BUFFER or flags & ~_BUFFER_TYPE or place or not sane or not 2 <= count <= len(regions) - at:
            raise StructureFault(_NOT_SETTLED)
        pieces = np.frombuffer(buffer, dtype=order + "u4", offset=20).astype("<u4").view(np.uint8)
        _lay_over(changed, np.unpackbits(pieces, bitorder="little"), regions[at + 1 : at + count])
        at += count
    if _without_counters(changed) != _without_counters(superblock.sector):
        raise StructureFault("the log changes the superblock: the file system was being changed itself")


def _lay_over(changed: bytearray, marks: NDArray[np.uint8], parts: list[bytes]) -> None:
    """Each run of marks is one part, whose bytes take the place of what was there."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marks.astype(np.int8), [0])))).tolist()
    runs = list(zip(edges[0::2], edges[1::2], strict=True))
    if len(runs) != len(parts):
        raise StructureFault("a logged superblock has other parts than its map says")
    for (first, past), part in zip(runs, parts, strict=True):
        if len(part) != (past - first) * _PIECE or past * _PIECE > len(changed):
            raise StructureFault("a logged superblock has other parts than its map says")
        changed[first * _PIECE : past * _PIECE] = part


def _without_counters(sector: bytes | bytearray) -> bytes:
    kept = bytearray(sector)
    for start, end in _MAY_CHANGE:
        kept[start:end] = bytes(end - start)
    return bytes(kept)
