"""The file table ($MFT): records by number, and what their attributes hold, also where these are spread over records.

Source: ntfs-3g include/ntfs-3g/layout.h (ATTR_LIST_ENTRY), libntfs-3g/attrib.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.ntfs.boot import Boot
from holdstill_filesystems.ntfs.records import Attribute, FileRecord, Kind
from holdstill_filesystems.ntfs.runs import Runs, unpack

MFT: Final = 0
#: an attribute list is never longer, bytes (ntfs-3g: 256 KiB)
_LONGEST_LIST: Final = 1 << 18
#: more runs than this are not kept in memory
_MOST_RUNS: Final = 1 << 18
#: compressed, encrypted, sparse
_UNREADABLE: Final = 0x00FF | 0x4000 | 0x8000

ENTRY: Final = Layout(
    "attribute list's entry",
    0x1A,
    "<",
    "ntfs-3g layout.h, ATTR_LIST_ENTRY",
    (
        ("kind", 0x00, "I"),
        ("length", 0x04, "H"),
        ("name_length", 0x06, "B"),
        ("name_at", 0x07, "B"),
        ("first", 0x08, "q"),
        ("reference", 0x10, "Q"),
    ),
)


def number_of(reference: int) -> tuple[int, int]:
    """The record that a reference names, and the sequence number that it should have."""
    return reference & 0xFFFFFFFFFFFF, reference >> 48


@attrs.frozen(eq=False)
class Stream:
    """What an attribute holds: in the record itself, or in clusters without holes."""

    reader: Reader
    cluster_size: int
    size: int
    """Bytes that were ever written."""
    resident: bytes | None
    runs: Runs

    def read(self, offset: int, length: int) -> bytes:
        """These bytes. Raises ``StructureFault`` past the end."""
        if offset < 0 or offset + length > self.size:
            raise StructureFault(f"an attribute has {self.size} bytes, not {offset + length}")
        if self.resident is not None:
            return self.resident[offset : offset + length]
        pieces = self.runs.pieces(offset, length, self.cluster_size)
        return b"".join(self.reader.read(place, here) for place, here in pieces)


class FileTable:
    """The file table of one volume."""

    def __init__(self, reader: Reader, boot: Boot) -> None:
        """Raises ``StructureFault`` unless its first record describes it, beginning where the boot sector says."""
        self._reader = reader
        self.boot = boot
        at = boot.record["mft"] * boot.cluster_size
        if at + boot.record_size > reader.size:
            raise boot.record.fault("mft", "the file table would lie outside the volume")
        first = FileRecord.parse(reader.read(at, boot.record_size), at, MFT)
        attribute = first.find(Kind.DATA)
        if attribute is None or not attribute.elsewhere:
            raise StructureFault("the file table does not say where it lies")
        # Its further parts are described by records that lie in the first one.
        self._table = self._stream([attribute], "$MFT", cut=True)
        self._table = self.stream(MFT, Kind.DATA)
        if self._table.resident is not None or int(self._table.runs.at[0]) != boot.record["mft"]:
            raise StructureFault("the file table says that it begins elsewhere than the boot sector says")

    @property
    def extents(self) -> Extents:
        """Where the table lies, in bytes."""
        return self._table.runs.extents(self.boot.cluster_size)

    @property
    def records(self) -> int:
        """How many records it has room for, used or not."""
        return min(self._table.size, self._table.runs.clusters * self.boot.cluster_size) // self.boot.record_size

    def place_of(self, number: int) -> int:
        """Where the record of this number, which the table has room for, begins on the volume."""
        return next(self._table.runs.pieces(number * self.boot.record_size, 1, self.boot.cluster_size))[0]

    def bytes_of(self, first: int, count: int) -> bytes:
        """So many records as they lie there, used or not. Raises ``StructureFault`` past the end."""
        return self._table.read(first * self.boot.record_size, count * self.boot.record_size)

    def record(self, number: int) -> FileRecord:
        """The record of this number. Raises ``StructureFault`` if there is none, or it is not in use."""
        if number >= self.records:
            raise StructureFault(f"the file table has no record {number}")
        return FileRecord.parse(self.bytes_of(number, 1), self.place_of(number), number)

    def stream(self, number: int, kind: Kind, name: str = "") -> Stream:
        """What this attribute of a file holds. Raises ``StructureFault`` if it has none, or it cannot be read."""
        what = f"attribute 0x{kind:x} of file {number}"
        base = self.record(number)
        base.record.require("base", base.record["base"] == 0, "only a part of another record")
        return self._stream(self._parts(base, kind, name), what)

    def has(self, number: int, kind: Kind, name: str = "") -> bool:
        """Does the file have such an attribute?"""
        return any(True for _ in self._parts(self.record(number), kind, name))

    def runs_in(self, record: FileRecord) -> list[tuple[int, int, int]]:
        """Rows for ``Runs``: where the values, or parts of such, lie that are described in this one record."""
        what = f"an attribute of file {record.number}"
        return [row for found in record.attributes() if found.elsewhere for row in self._rows(found, what)]

    def extents_of(self, number: int) -> Extents:
        """Where the values lie that are described in this one record, holes left out, in bytes."""
        return Runs.of(self.runs_in(self.record(number))).extents(self.boot.cluster_size)

    # --- attributes -----------------------------------------------------------------------------

    def _parts(self, base: FileRecord, kind: Kind, name: str) -> Iterator[Attribute]:
        """The attribute, or its parts in order, from whichever records they are in."""
        listed = base.find(Kind.ATTRIBUTE_LIST)
        if listed is None:
            own = base.find(kind, name)
            if own is not None:
                yield own
            return
        for first, reference in self._listed(listed, kind, name):
            number, sequence = number_of(reference)
            holder = base if number == base.number else self.record(number)
            if holder is not base:
                of_file = number_of(holder.record["base"])[0] == base.number
                holder.record.require("base", of_file, f"record {base.number} lists it")
            holder.record.require("sequence", holder.record["sequence"] == sequence, f"it should be {sequence}")
            part = holder.find(kind, name, first)
            if part is None:
                raise StructureFault(f"record {number} lacks a part of attribute 0x{kind:x} of file {base.number}")
            yield part

    def _listed(self, listed: Attribute, kind: Kind, name: str) -> Iterator[tuple[int, int]]:
        """First cluster and holder of each part, as an attribute list tells."""
        data = self._stream([listed], "an attribute list")
        if data.size > _LONGEST_LIST:
            raise StructureFault(f"an attribute list of {data.size} bytes")
        entries, at = data.read(0, data.size), 0
        while at < len(entries):
            entry = ENTRY.parse(entries[at : at + ENTRY.size], listed.record.offset)
            sane = ENTRY.size <= entry["length"] <= len(entries) - at
            entry.require("length", sane, "an entry ends within its list")
            begin = at + entry["name_at"]
            called = entries[begin : begin + 2 * entry["name_length"]].decode("utf-16-le", "replace")
            if entry["kind"] == kind and called == name:
                yield entry["first"], entry["reference"]
            at += entry["length"]

    def _stream(self, parts: Iterable[Attribute], what: str, *, cut: bool = False) -> Stream:
        """What these parts hold; ``cut``: they are not all of it."""
        size, rows = 0, list[tuple[int, int, int]]()
        for part in parts:
            if not part.elsewhere:
                return Stream(self._reader, self.boot.cluster_size, len(part.value), part.value, Runs.of([]))
            part.record.require("flags", not part.record["flags"] & _UNREADABLE, "compressed, encrypted or sparse")
            following = rows[-1][0] + rows[-1][2] if rows else 0
            part.record.require("first", part.record["first"] == following, f"cluster {following} follows")
            if not rows:
                size = part.record["initialized"]
                part.record.require("initialized", 0 <= size <= part.record["size"], "more than there is")
            rows += self._rows(part, what)
            if len(rows) > _MOST_RUNS:
                raise StructureFault(f"{what} is scattered over more than {_MOST_RUNS} places")
        if not rows:
            raise StructureFault(f"there is no {what}")
        runs = Runs.of(rows)
        if runs.holes or (size > runs.clusters * self.boot.cluster_size and not cut):
            raise StructureFault(f"{what} has holes")
        return Stream(self._reader, self.boot.cluster_size, size, None, runs)

    def _rows(self, part: Attribute, what: str) -> list[tuple[int, int, int]]:
        first, past = part.record["first"], part.record["last"] + 1
        return unpack(part.packed_runs, first, past, self.boot.clusters, what)
