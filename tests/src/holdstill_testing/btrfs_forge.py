"""Btrfs images changed by hand, with checksums that fit: what mkfs.btrfs cannot make yet, and what nobody should.

For small images, whose trees of interest are one leaf each, with CRC-32C. Written from the kernel's header alone
(include/uapi/linux/btrfs_tree.h), so that it shares no mistake with the reader.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

Key: TypeAlias = tuple[int, int, int]
Items: TypeAlias = list[tuple[Key, bytes]]

PLACES: Final = (64 << 10, 64 << 20)
_HEADER, _ITEM, _KEY = 101, 25, "<QBQ"
ROOT_TREE, EXTENT_TREE, CHUNK_TREE, FREE_SPACE_TREE, BLOCK_GROUP_TREE = 1, 2, 3, 10, 11
ROOT_ITEM, METADATA_ITEM, BLOCK_GROUP_ITEM, FREE_SPACE_EXTENT, CHUNK_ITEM = 132, 169, 192, 199, 228

#: fields of the superblock: place and form
_FIELDS: Final = {
    "flags": (56, "<Q"),
    "generation": (72, "<Q"),
    "root": (80, "<Q"),
    "chunk_root": (88, "<Q"),
    "log_root": (96, "<Q"),
    "total_bytes": (112, "<Q"),
    "bytes_used": (120, "<Q"),
    "num_devices": (136, "<Q"),
    "sectorsize": (144, "<I"),
    "nodesize": (148, "<I"),
    "sys_chunk_array_size": (160, "<I"),
    "chunk_root_generation": (164, "<Q"),
    "compat_ro_flags": (180, "<Q"),
    "incompat_flags": (188, "<Q"),
    "csum_type": (196, "<H"),
    "root_level": (198, "<B"),
    "chunk_root_level": (199, "<B"),
    "device_id": (201, "<Q"),
    "device_total_bytes": (209, "<Q"),
    "sys_chunk_logical": (811 + 9, "<Q"),
    "sys_chunk_length": (811 + 17, "<Q"),
    "sys_chunk_type": (811 + 17 + 24, "<Q"),
    "sys_chunk_stripes": (811 + 17 + 44, "<H"),
    "sys_chunk_place": (811 + 17 + 56, "<Q"),
}


def crc32c(data: bytes | bytearray) -> int:
    """The checksum of RFC 3720, byte by byte."""
    register = 0xFFFFFFFF
    for byte in data:
        register = _TABLE[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ 0xFFFFFFFF


def _table() -> list[int]:
    values = list(range(256))
    for _ in range(8):
        values = [value >> 1 ^ (value & 1) * 0x82F63B78 for value in values]
    return values


_TABLE: Final = _table()


@attrs.define
class Forge:
    """One image, changed in place."""

    path: Path

    # --- the superblock -------------------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the image."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes into the image."""
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def get(self, field: str) -> int:
        """A field of the superblock."""
        at, form = _FIELDS[field]
        return int(struct.unpack(form, self.read(PLACES[0] + at, struct.calcsize(form)))[0])

    def set(self, **fields: int) -> None:
        """Change fields of the superblock and of its copies."""
        for place in PLACES:
            data = bytearray(self.read(place, 4096))
            if data[64:72] == b"_BHRfS_M":
                for field, value in fields.items():
                    struct.pack_into(_FIELDS[field][1], data, _FIELDS[field][0], value)
                self.write(place, struct.pack("<I", crc32c(data[32:])) + data[4:])

    # --- tree blocks ----------------------------------------------------------------------------

    def chunks(self) -> list[tuple[int, int, int, list[int]]]:
        """Logical start, length, type and places of each chunk."""
        data = self.read(PLACES[0] + 811, self.get("sys_chunk_array_size"))
        found = {struct.unpack_from("<Q", data, 9)[0]: _chunk(data[17:])}
        self._chunks = found
        for key, item in self.items(self.get("chunk_root")):
            if key[1] == CHUNK_ITEM:
                found[key[2]] = _chunk(item)
        return [(logical, *rest) for logical, rest in sorted(found.items())]

    def places(self, logical: int) -> list[int]:
        """Where on the device all copies of this address are."""
        for start, length, _, copies in self._known():
            if start <= logical < start + length:
                return [copy + logical - start for copy in copies]
        raise LookupError(f"{logical} is in no chunk")

    _chunks: dict[int, tuple[int, int, list[int]]] = attrs.field(factory=dict)

    def _known(self) -> list[tuple[int, int, int, list[int]]]:
        if not self._chunks:
            self.chunks()
        return [(logical, *rest) for logical, rest in self._chunks.items()]

    def block(self, logical: int) -> bytes:
        """A tree block."""
        return self.read(self.places(logical)[0], self.get("nodesize"))

    def put(self, logical: int, data: bytes) -> None:
        """Write a tree block with a checksum that fits, all copies of it."""
        for place in self.places(logical):
            self.write(place, struct.pack("<I", crc32c(data[32:])) + data[4:])

    def items(self, logical: int) -> Items:
        """What a leaf holds."""
        data = self.block(logical)
        count, level = struct.unpack_from("<IB", data, 96)
        assert level == 0, "it is a node, not a leaf"
        found = []
        for at in range(_HEADER, _HEADER + count * _ITEM, _ITEM):
            start, length = struct.unpack_from("<II", data, at + 17)
            found.append((struct.unpack_from(_KEY, data, at), data[_HEADER + start : _HEADER + start + length]))
        return found

    def put_items(self, logical: int, items: Items, **header: int) -> None:
        """Write a leaf; ``header`` may give ``owner`` and ``like``, the block whose header is taken."""
        data = bytearray(self.block(header.get("like", logical)))
        data[_HEADER:] = bytes(len(data) - _HEADER)
        struct.pack_into("<Q", data, 48, logical)
        struct.pack_into("<QIB", data, 88, header.get("owner", struct.unpack_from("<Q", data, 88)[0]), len(items), 0)
        end = len(data) - _HEADER
        for index, (key, value) in enumerate(items):
            end -= len(value)
            struct.pack_into("<QBQII", data, _HEADER + index * _ITEM, *key, end, len(value))
            data[_HEADER + end : _HEADER + end + len(value)] = value
        self.put(logical, bytes(data))

    def root_of(self, tree: int) -> int:
        """The root block of a tree; the superblock itself tells those of the trees of roots and of chunks."""
        if tree in {ROOT_TREE, CHUNK_TREE}:
            return self.get("root" if tree == ROOT_TREE else "chunk_root")
        item = dict(self.items(self.get("root")))[tree, ROOT_ITEM, 0]
        return int(struct.unpack_from("<Q", item, 176)[0])

    def change(self, tree: int, key: Key, at: int, form: str, value: Any) -> None:
        """Change what the item of this key holds, at byte ``at`` of it."""
        root = self.root_of(tree)
        items = dict(self.items(root))
        item = bytearray(items[key])
        struct.pack_into(form, item, at, value)
        self.put_items(root, sorted({**items, key: bytes(item)}.items()))

    # --- the block group tree -------------------------------------------------------------------

    def move_block_groups(self) -> None:
        """Give the file system a block group tree, as a newer mkfs.btrfs does, with room taken from its free space."""
        node = self.get("nodesize")
        extents, spaces = self.root_of(EXTENT_TREE), self.root_of(FREE_SPACE_TREE)
        group = next(start for start, _, kind, _ in self.chunks() if kind & 4)
        (start, _, length), _ = free = next(
            item for item in self.items(spaces) if item[0][1] == FREE_SPACE_EXTENT and item[0][0] > group
        )
        extent = struct.pack("<QQQBQ", 1, self.get("generation"), 2, 176, BLOCK_GROUP_TREE)
        all_items = [*self.items(extents), ((start, METADATA_ITEM, 0), extent)]
        block_groups = [
            (key, struct.pack("<Q", struct.unpack_from("<Q", value)[0] + node * (key[0] == group)) + value[8:])
            for key, value in all_items
            if key[1] == BLOCK_GROUP_ITEM
        ]
        self.put_items(start, block_groups, owner=BLOCK_GROUP_TREE, like=extents)
        self.put_items(extents, sorted(item for item in all_items if item[0][1] != BLOCK_GROUP_ITEM))
        shorter = ((start + node, FREE_SPACE_EXTENT, length - node), b"")
        self.put_items(spaces, sorted([item for item in self.items(spaces) if item != free] + [shorter]))
        root = bytearray(dict(self.items(self.get("root")))[EXTENT_TREE, ROOT_ITEM, 0])
        struct.pack_into("<QQQ", root, 176, start, 0, node)
        trees = [*self.items(self.get("root")), ((BLOCK_GROUP_TREE, ROOT_ITEM, 0), bytes(root))]
        self.put_items(self.get("root"), sorted(trees))
        self.set(bytes_used=self.get("bytes_used") + node, compat_ro_flags=self.get("compat_ro_flags") | 8)


def _chunk(data: bytes) -> tuple[int, int, list[int]]:
    length, kind, stripes = (struct.unpack_from(form, data, at)[0] for form, at in (("<Q", 0), ("<Q", 24), ("<H", 44)))
    return length, kind, [struct.unpack_from("<Q", data, 56 + 32 * number)[0] for number in range(stripes)]
