"""The log as it lies on the disk: where it ends, and its records.

A log is a ring of 512-byte blocks. The first word of each says in which round of the ring the block was written; what
stood there is kept in the header of the record. Source: Linux fs/xfs/libxfs/xfs_log_format.h; the order of things is
that of fs/xfs/xfs_log_recover.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.blocks import Numbers
from holdstill_filesystems.fields import Layout, Record
from holdstill_filesystems.xfs.sealed import checksum
from holdstill_filesystems.xfs.superblock import Superblock

BLOCK: Final = 512
MAGIC: Final = 0xFEEDBABE
#: how many blocks may be under way when the machine stops: 8 buffers of 256 KiB
_UNDER_WAY: Final = (8 << 18) // BLOCK
_LONGEST: Final = 1 << 18
#: how many first words the header of a record, and each block of headers that follows, has room for
_SAVED: Final = 64
#: the checksum covers the header up to here; with 32-bit x86 it ends 4 bytes earlier
_HEADER_SIZES: Final = (328, 324)
_MORE_HEADER_SIZE: Final = 260
#: more records than this are no sign of a freeze
_MOST_RECORDS: Final = 64
_ORDERS: Final = {1: "<", 2: ">"}

LAYOUT: Final = Layout(
    "log record",
    BLOCK,
    ">",
    "Linux fs/xfs/libxfs/xfs_log_format.h, struct xlog_rec_header",
    (
        ("magic", 0, "I"),
        ("cycle", 4, "I"),
        ("version", 8, "I"),
        ("len", 12, "I"),
        ("lsn", 16, "2I"),
        ("tail_lsn", 24, "2I"),
        ("crc", 32, "I"),
        ("num_logops", 40, "I"),
        ("cycle_data", 44, "64I"),
        ("fmt", 300, "I"),
        ("uuid", 304, "16s"),
        ("size", 320, "I"),
    ),
)


@attrs.frozen
class LogRecord:
    """One record. ``data`` is what was logged, without its headers, the first words put back."""

    header: Record
    place: int
    after: int
    """The block behind it; the ring's length where it ends with the ring."""
    sealed: bool
    """It carries a checksum (which fits)."""
    data: bytes = attrs.field(repr=False)

    @property
    def order(self) -> str:
        """The byte order of what was logged, as ``struct`` has it. Raises ``StructureFault`` for an unknown one."""
        self.header.require("fmt", self.header["fmt"] in _ORDERS, "an unknown kind of host")
        return _ORDERS[self.header["fmt"]]


class Log:
    """The log of one file system. Blocks are counted from its start. All methods raise ``StructureFault``."""

    def __init__(self, superblock: Superblock, reader: Reader) -> None:
        """Find where it ends."""
        self._superblock = superblock
        self._reader = reader
        self._start = int(superblock.log.starts[0])
        self._length = superblock.log.total // BLOCK
        self._head, self._cycle = self._ended()

    def last(self) -> LogRecord:
        """The record that was written last."""
        reach = min(self._length, 2 * _LONGEST // BLOCK)
        for back in range(1, reach + 1):
            place = (self._head - back) % self._length
            if self._blocks(place, 1)[:4] == MAGIC.to_bytes(4, "big"):
                record = self._record(place, self._cycle - (place >= self._head > 0))
                if record.after % self._length != self._head:
                    raise StructureFault(f"the last record of the log, at its block {place}, does not reach its end")
                return record
        raise StructureFault("the log has no last record")

    def since_tail(self, last: LogRecord) -> Iterator[LogRecord]:
        """All records that recovery would read, up to ``last``."""
        cycle, place = last.header["tail_lsn"]
        for _ in range(_MOST_RECORDS):
            if place >= self._length:
                raise StructureFault(f"the tail of the log is said to be at block {place}: outside the log")
            record = last if place == last.place else self._record(place, cycle)
            if (cycle, place) != record.header["lsn"]:
                raise StructureFault("the log does not lead from its tail to its end")
            yield record
            if place == last.place:
                return
            cycle, place = cycle + record.after // self._length, record.after % self._length
        raise StructureFault(
            f"the log holds more than {_MOST_RECORDS} records that were not yet carried out: "
            "the file system was not unmounted, and not frozen"
        )

    # --- the end --------------------------------------------------------------------------------

    def _ended(self) -> tuple[int, int]:
        """The block behind the last one written, and how often the ring has been begun when that was written."""
        first, last = self._cycles(0, 1)[0], self._cycles(self._length - 1, 1)[0]
        if not first:
            raise StructureFault("the log is all zeros")
        if last not in {first, first - 1}:
            raise StructureFault(f"the log says at its start that it is in round {first}, at its end {last}")
        low, high = 0, self._length
        while last != first and high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._cycles(middle, 1)[0] == first else (low, middle)
        head = high % self._length
        before = self._cycles(max(0, high - _UNDER_WAY), min(high, _UNDER_WAY))
        behind = self._cycles(head, min(self._length - head, _UNDER_WAY))
        if (before != first).any() or (behind != last).any():
            raise StructureFault("the log's end is torn: the file system was not unmounted")
        return head, int(first)

    def _cycles(self, place: int, count: int) -> Numbers:
        """In which round these blocks were written."""
        words = np.frombuffer(self._blocks(place, count), dtype=">u4").reshape(count, -1)
        return np.where(words[:, 0] == MAGIC, words[:, 1], words[:, 0]).astype(np.int64)

    def _blocks(self, place: int, count: int) -> bytes:
        """These blocks, round the end."""
        straight = min(count, self._length - place)
        data = self._reader.read(self._start + place * BLOCK, straight * BLOCK)
        return data if straight == count else data + self._blocks(0, count - straight)

    # --- records --------------------------------------------------------------------------------

    def _record(self, place: int, cycle: int) -> LogRecord:
        """The record at a block, which was begun in this round."""
        header = LAYOUT.parse(self._blocks(place, 1), self._start + place * BLOCK)
        header.require("magic", header["magic"] == MAGIC, "not a record")
        header.require("version", header["version"] in {1, 2}, "an unknown version")
        header.require("lsn", header["lsn"] == (cycle, place), f"it should be {(cycle, place)}")
        header.require("len", 0 < header["len"] <= _LONGEST, "records are not so long")
        header.require("size", header["size"] <= _LONGEST or header["version"] == 1, "records are not so long")
        header.require("uuid", header["uuid"] == self._superblock.record["uuid"], "of another file system")
        headers = max(1, -(-header["size"] // (_SAVED * BLOCK))) if header["version"] == 2 else 1
        count = -(-header["len"] // BLOCK)
        if count > headers * _SAVED or headers + count > self._length:
            raise header.fault("len", "its header has no room for so many blocks")
        found = self._blocks(place, headers + count)
        more, stored = found[BLOCK : headers * BLOCK], found[headers * BLOCK :]
        sealed = self._check(header, more, stored[: header["len"]])
        rounds = np.frombuffer(found, dtype=">u4").reshape(-1, BLOCK // 4)[headers:, 0]
        expected = cycle + (place + headers + np.arange(count) >= self._length)
        if (rounds != expected).any():
            raise StructureFault(f"the log record at block {place} is torn")
        return LogRecord(header, place, place + headers + count, sealed, _restored(header, more, stored))

    def _check(self, header: Record, more: bytes, data: bytes) -> bool:
        """Does it carry a checksum? mkfs and xfs_repair write none. Raises ``StructureFault`` if it does not fit."""
        if not header["crc"]:
            return False
        blanked = header.data[:32] + bytes(4) + header.data[36:]
        rest = [more[at : at + _MORE_HEADER_SIZE] for at in range(0, len(more), BLOCK)]
        fitting = {checksum(blanked[:size], *rest, data) for size in _HEADER_SIZES}
        # the field is little-endian, as all checksums are
        stored = int.from_bytes(header["crc"].to_bytes(4, "big"), "little")
        header.require("crc", stored in fitting, "the checksum does not fit")
        return True


def _restored(header: Record, more: bytes, stored: bytes) -> bytes:
    """The logged bytes with the first word of each block put back."""
    saved = np.array(header["cycle_data"], dtype=">u4")
    if more:
        following = np.frombuffer(more, dtype=">u4").reshape(-1, BLOCK // 4)[:, 1 : 1 + _SAVED]
        saved = np.concatenate((saved, following.reshape(-1)))
    words = np.frombuffer(stored, dtype=">u4").reshape(-1, BLOCK // 4).copy()
    words[:, 0] = saved[: words.shape[0]]
    return words.tobytes()[: header["len"]]
