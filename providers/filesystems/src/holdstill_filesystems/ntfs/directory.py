"""Looking for a name in a directory: all of its index is read, whatever order its names are kept in.

Source: ntfs-3g include/ntfs-3g/layout.h (INDEX_ROOT, INDEX_BLOCK, INDEX_HEADER, INDEX_ENTRY).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdstill.errors import StructureFault
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.ntfs.records import Kind, whole
from holdstill_filesystems.ntfs.table import FileTable

_NAMES: Final = "$I30"
#: an index of more bytes than this is not read
_LONGEST: Final = 1 << 26
_BLOCKS: Final = (512, 65536)
#: where the head of a node lies in the root's attribute, and in a block of its own
_IN_ROOT, _IN_BLOCK = 16, 24
_LAST: Final = 2
#: in a key: where it says how many characters the name has, and where these begin
_NAME_LENGTH, _NAME = 0x40, 0x42

ROOT: Final = Layout("index root", 16, "<", "ntfs-3g layout.h, INDEX_ROOT", (("block_size", 8, "I"),))
NODE: Final = Layout(
    "index node", 16, "<", "ntfs-3g layout.h, INDEX_HEADER", (("entries_at", 0, "I"), ("length", 4, "I"))
)
ENTRY: Final = Layout(
    "index entry",
    16,
    "<",
    "ntfs-3g layout.h, INDEX_ENTRY",
    (("reference", 0, "Q"), ("length", 8, "H"), ("key_length", 10, "H"), ("flags", 12, "H")),
)


def references(table: FileTable, directory: int, name: str) -> Iterator[int]:
    """What the directory calls ``name``, in upper or lower case: references to records. Raises ``StructureFault``."""
    root = table.stream(directory, Kind.INDEX_ROOT, _NAMES)
    data = root.read(0, root.size)
    yield from _called(data[_IN_ROOT:], name)
    if table.has(directory, Kind.INDEX_ALLOCATION, _NAMES):
        for block in _blocks(table, directory, ROOT.parse(data, 0)["block_size"]):
            if name.encode("utf-16-le") in block.lower():
                yield from _called(block[_IN_BLOCK:], name)


def _blocks(table: FileTable, directory: int, size: int) -> Iterator[bytes]:
    """Each block of the index that is in use."""
    index = table.stream(directory, Kind.INDEX_ALLOCATION, _NAMES)
    used = table.stream(directory, Kind.BITMAP, _NAMES)
    if not _BLOCKS[0] <= size <= _BLOCKS[1] or size & size - 1:
        raise StructureFault(f"the index of directory {directory} has blocks of {size} bytes")
    if index.size > _LONGEST:
        raise StructureFault(f"the index of directory {directory} has {index.size} bytes, and might hide a name")
    count = index.size // size
    bits = int.from_bytes(used.read(0, -(-count // 8)), "little")
    for number in range(count):
        if bits >> number & 1:
            yield whole(index.read(number * size, size), b"INDX", number * size, f"index of directory {directory}")


def _called(node: bytes, name: str) -> Iterator[int]:
    head = NODE.parse(node, 0)
    at, end = head["entries_at"], head["length"]
    head.require("entries_at", NODE.size <= at < end <= len(node), "not within the node")
    while at < end:
        entry = ENTRY.parse(node[at : at + ENTRY.size], at)
        entry.require("length", ENTRY.size <= entry["length"] <= end - at, "an entry ends within its node")
        if entry["flags"] & _LAST:
            entry.require("length", at + entry["length"] == end, "the last entry ends the node")
            return
        key = node[at + ENTRY.size : at + ENTRY.size + entry["key_length"]]
        length = 2 * key[_NAME_LENGTH] if len(key) > _NAME_LENGTH else 0
        if key[_NAME : _NAME + length].decode("utf-16-le", "replace").lower() == name:
            yield entry["reference"]
        at += entry["length"]
    raise StructureFault("a node of a directory's index has no last entry")
