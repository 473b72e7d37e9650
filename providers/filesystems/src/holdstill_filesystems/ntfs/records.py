"""Records of the file table, and the attributes in them.

Source: Linux fs/ntfs3/ntfs.h; ntfs-3g include/ntfs-3g/layout.h, libntfs-3g/mst.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill_filesystems.fields import Layout, Record

#: after so many bytes two are kept aside, to tell whether all of a record was written
_STRIDE: Final = 512
_END: Final = 0xFFFFFFFF
_IN_USE: Final = 1
#: from here on a record has its own number in it
_WITH_NUMBER: Final = 0x30


class Kind(IntEnum):
    """Types of attributes."""

    ATTRIBUTE_LIST = 0x20
    VOLUME_INFORMATION = 0x70
    DATA = 0x80
    INDEX_ROOT = 0x90
    INDEX_ALLOCATION = 0xA0
    BITMAP = 0xB0


PROTECTED: Final = Layout(
    "record", 8, "<", "ntfs-3g layout.h, NTFS_RECORD", (("magic", 0, "4s"), ("array", 4, "H"), ("count", 6, "H"))
)
RECORD: Final = Layout(
    "file record",
    0x30,
    "<",
    "ntfs-3g layout.h, MFT_RECORD",
    (
        ("magic", 0x00, "4s"),
        ("array", 0x04, "H"),
        ("sequence", 0x10, "H"),
        ("attributes", 0x14, "H"),
        ("flags", 0x16, "H"),
        ("in_use", 0x18, "I"),
        ("allocated", 0x1C, "I"),
        ("base", 0x20, "Q"),
        ("number", 0x2C, "I"),
    ),
)
_HEAD: Final = (
    ("kind", 0x00, "I"),
    ("length", 0x04, "I"),
    ("elsewhere", 0x08, "B"),
    ("name_length", 0x09, "B"),
    ("name_at", 0x0A, "H"),
    ("flags", 0x0C, "H"),
)
_RESIDENT: Final = Layout(
    "attribute", 0x18, "<", "ntfs-3g layout.h, ATTR_RECORD", (*_HEAD, ("size", 0x10, "I"), ("value_at", 0x14, "H"))
)
_ELSEWHERE: Final = Layout(
    "attribute",
    0x40,
    "<",
    "ntfs-3g layout.h, ATTR_RECORD",
    (
        *_HEAD,
        ("first", 0x10, "q"),
        ("last", 0x18, "q"),
        ("runs_at", 0x20, "H"),
        ("allocated", 0x28, "q"),
        ("size", 0x30, "q"),
        ("initialized", 0x38, "q"),
    ),
)


def whole(data: bytes, magic: bytes, offset: int, what: str) -> bytes:
    """``data`` with the bytes put back that were kept aside. Raises ``StructureFault`` if not all of it was written."""
    head = PROTECTED.parse(data, offset)
    if head["magic"] != magic:
        raise StructureFault(f"the {what} at byte {offset} begins with {head['magic']!r}, not {magic!r}")
    array, count = head["array"], head["count"]
    fits = count == len(data) // _STRIDE + 1 and array >= PROTECTED.size and array % 2 == 0
    if not fits or array + 2 * count > _STRIDE - 2:
        raise StructureFault(f"the {what} at byte {offset} keeps no {len(data) // _STRIDE} pairs of bytes aside")
    words = np.frombuffer(data, dtype="<u2").copy()
    kept = words[array // 2 : array // 2 + count].copy()
    ends = words[_STRIDE // 2 - 1 :: _STRIDE // 2]
    if (ends != kept[0]).any():
        raise StructureFault(f"the {what} at byte {offset} was not written whole")
    ends[:] = kept[1:]
    return words.tobytes()


@attrs.frozen
class Attribute:
    """An attribute, or a part of one, as it stands in a record."""

    record: Record
    data: bytes
    """All of it, head included."""

    @property
    def kind(self) -> int:  # noqa: D102
        return int(self.record["kind"])

    @property
    def name(self) -> str:  # noqa: D102
        at, length = self.record["name_at"], 2 * self.record["name_length"]
        return self.data[at : at + length].decode("utf-16-le", "replace")

    @property
    def elsewhere(self) -> bool:
        """Is the value in clusters of its own?"""
        return bool(self.record["elsewhere"])

    @property
    def value(self) -> bytes:
        """What it holds, if that is in the record. Raises ``StructureFault``."""
        if self.elsewhere:
            raise self.record.fault("elsewhere", "its value should be in the record")
        at, size = self.record["value_at"], self.record["size"]
        self.record.require("size", at + size <= len(self.data), "more than the attribute has")
        return self.data[at : at + size]

    @property
    def packed_runs(self) -> bytes:
        """Where the clusters lie, if they are elsewhere. Raises ``StructureFault``."""
        at = self.record["runs_at"]
        self.record.require("runs_at", _ELSEWHERE.size <= at < len(self.data), "not within the attribute")
        return self.data[at:]


@attrs.frozen
class FileRecord:
    """A record of the file table that is in use."""

    record: Record
    data: bytes
    number: int

    @classmethod
    def parse(cls, data: bytes, offset: int, number: int) -> FileRecord:
        """The record of this number. Raises ``StructureFault`` if it is another, not in use, or not sound."""
        whole_data = whole(data, b"FILE", offset, "file record")
        record = RECORD.parse(whole_data, offset)
        record.require("flags", bool(record["flags"] & _IN_USE), "the record is not in use")
        has_number = record["array"] >= _WITH_NUMBER
        record.require("number", not has_number or record["number"] == number & _END, f"it was read as number {number}")
        record.require("allocated", record["allocated"] == len(data), f"it has {len(data)} bytes")
        record.require("in_use", record["in_use"] <= len(data), f"it has {len(data)} bytes")
        sane = RECORD.size - 8 <= record["attributes"] < record["in_use"] and record["attributes"] % 8 == 0
        record.require("attributes", sane, "not within the record")
        return cls(record, whole_data[: record["in_use"]], number)

    def attributes(self) -> Iterator[Attribute]:
        """All of them, in order. Raises ``StructureFault`` for one that does not fit the record."""
        at = int(self.record["attributes"])
        while True:
            kind = int.from_bytes(self.data[at : at + 4], "little")
            if kind == _END:
                return
            layout = _ELSEWHERE if self.data[at + 8 : at + 9] not in {b"", b"\0"} else _RESIDENT
            head = layout.parse(self.data[at:], self.record.offset + at)
            sane = layout.size <= head["length"] <= len(self.data) - at and head["length"] % 8 == 0
            head.require("length", sane, "an attribute ends within its record")
            head.require("name_at", head["name_at"] + 2 * head["name_length"] <= head["length"], "not within it")
            yield Attribute(head, self.data[at : at + head["length"]])
            at += head["length"]

    def find(self, kind: Kind, name: str = "", first: int = 0) -> Attribute | None:
        """The attribute of this kind and name, or the part of it that begins with cluster ``first``."""
        for attribute in self.attributes():
            begins = attribute.record["first"] if attribute.elsewhere else 0
            if attribute.kind == kind and attribute.name == name and begins == first:
                return attribute
        return None
