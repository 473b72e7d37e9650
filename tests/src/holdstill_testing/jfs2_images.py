"""JFS2 as AIX would have it: turned from images of Linux JFS, and back; or forged, for the block sizes Linux has not.

Nothing here is shared with the reader: every field is moved by its own offsets, from Linux fs/jfs/jfs_{superblock,
dinode,dmap,xtree}.h to AIX j2/j2_{superblock,dinode,xtree}.h. What no map of used blocks needs (files, directories,
the map of inodes, the log) stays as Linux wrote it.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

PAGE: Final = 4096
SUPERBLOCKS: Final = (0x8000, 0xF000)
#: the inode of the block map in the aggregate inode table
INODE: Final = 0xB000 + 2 * 512
_AIX: Final = 0x80000000
#: what JFS2 knows of Linux's flags: how it commits, a log inside, a bad copy of the inode table
_FLAGS: Final = 0x10F00
#: where a number stands, and how wide it is: in JFS, in JFS2
_SUPERBLOCK: Final = (
    ((8, 8), (56, 8)),
    ((16, 4), (64, 4)),
    ((20, 2), (68, 4)),
    ((22, 2), (80, 4)),
    ((24, 4), (72, 4)),
    ((28, 2), (76, 4)),
    ((32, 4), (84, 4)),
    ((40, 4), (92, 4)),
)
_EXTENTS: Final = ((48, 104), (72, 136), (80, 144))
_INODE: Final = (((8, 4), (0, 8)), ((4, 4), (12, 4)), ((24, 8), (32, 8)), ((40, 4), (56, 4)), ((52, 4), (60, 4)))
_ROOT: Final = 224


def to_jfs2(image: Path, to: Path) -> Path:
    """A copy of a Linux JFS in which all that leads to used blocks is as JFS2 has it."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True)
    with image.open("rb") as little, to.open("r+b") as big:
        for at in SUPERBLOCKS:
            _put(big, at, _superblock(_get(little, at, 256)))
        inodes, pages, trees = _map_of(little)
        for at in trees:
            _put(big, at, _tree(_get(little, at, PAGE), "<", ">"))
        for kind, at in pages:
            _put(big, at, _turned(_get(little, at, PAGE), kind, "<", ">"))
        for at in inodes:
            _put(big, at, _inode(_get(little, at, 512)))
    return to


def to_jfs(image: Path, like: Path, to: Path) -> Path:
    """The way back; what JFS2 has no room for (labels, ...) is as in ``like``, from which ``image`` was turned."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True)
    with like.open("rb") as old, image.open("rb") as big, to.open("r+b") as little:
        inodes, pages, trees = _map_of(old)
        for at in SUPERBLOCKS:
            _put(little, at, _moved_back(_get(big, at, 256), _get(old, at, 256), _SUPERBLOCK, _EXTENTS))
        for at in trees:
            _put(little, at, _tree(_get(big, at, PAGE), ">", "<"))
        for kind, at in pages:
            _put(little, at, _turned(_get(big, at, PAGE), kind, ">", "<"))
        for at in inodes:
            found, was = _get(big, at, 512), _get(old, at, 512)
            back = _moved_back(found, was, _INODE, ())
            _put(little, at, back[:_ROOT] + _tree(found[_ROOT:], ">", "<"))
    return to


def _superblock(little: bytes) -> bytes:
    found = bytearray(256)
    found[:8] = b"J2FS" + struct.pack(">I", 1)
    _move(little, found, _SUPERBLOCK)
    flags = struct.unpack_from("<I", little, 36)[0]
    struct.pack_into(">I", found, 88, flags & _FLAGS | _AIX)
    blocks_per_table = 16384 // struct.unpack_from("<I", little, 16)[0]
    found[96:104] = _extent(blocks_per_table, 0xB000 // struct.unpack_from("<I", little, 16)[0])
    for at, to in _EXTENTS:
        found[to : to + 8] = _extent(*_extent_of(little[at : at + 8], "<"))
    return bytes(found)


def _inode(little: bytes) -> bytes:
    found = bytearray(512)
    _move(little, found, _INODE)
    return bytes(found[:_ROOT]) + _tree(little[_ROOT:], "<", ">")


def _move(little: bytes, found: bytearray, table: tuple[tuple[tuple[int, int], tuple[int, int]], ...]) -> None:
    for (at, width), (to, wide) in table:
        found[to : to + wide] = int.from_bytes(little[at : at + width], "little").to_bytes(wide, "big")


def _moved_back(
    big: bytes,
    old: bytes,
    table: tuple[tuple[tuple[int, int], tuple[int, int]], ...],
    extents: tuple[tuple[int, int], ...],
) -> bytes:
    found = bytearray(old)
    for (at, width), (to, wide) in table:
        found[at : at + width] = int.from_bytes(big[to : to + wide], "big").to_bytes(width, "little")
    for at, to in extents:
        length, address = _extent_of(big[to : to + 8], ">")
        found[at : at + 8] = struct.pack("<2I", address >> 32 << 24 | length, address & 0xFFFFFFFF)
    return bytes(found)


def _extent(length: int, address: int) -> bytes:
    return length.to_bytes(3, "big") + address.to_bytes(5, "big")


def _extent_of(raw: bytes, order: str) -> tuple[int, int]:
    """Length and address, in blocks."""
    if order == ">":
        return int.from_bytes(raw[:3], "big"), int.from_bytes(raw[3:], "big")
    first, low = struct.unpack("<2I", raw)
    return first & 0xFFFFFF, first >> 24 << 32 | low


def _tree(page: bytes, order: str, to: str) -> bytes:
    """A page of a tree, or a root in an inode."""
    found = bytearray(page)
    for at, form in ((0, "q"), (8, "q"), (18, "H"), (20, "H"), (22, "H")):
        struct.pack_into(to + form, found, at, *struct.unpack_from(order + form, page, at))
    for at in range(24, len(page) - 7, 16):
        length, address = _extent_of(page[at : at + 8], order)
        words = struct.pack("<2I", address >> 32 << 24 | length, address & 0xFFFFFFFF)
        found[at : at + 8] = words if to == "<" else _extent(length, address)
    for at in range(32, len(page) - 15, 16):  # where in its file the extent stands: 8 high bits, 32 low ones
        struct.pack_into(to + "I", found, at + 4, *struct.unpack_from(order + "I", page, at + 4))
    return bytes(found)


_FORMS: Final = {"control": ((0, "QQ10I128QQ"),), "tree": ((0, "4I"),), "bits": ((0, "IIQ4I"), (2048, "512I"))}


def _turned(page: bytes, kind: str, order: str, to: str) -> bytes:
    found = bytearray(page)
    for at, form in _FORMS[kind]:
        struct.pack_into(to + form, found, at, *struct.unpack_from(order + form, page, at))
    return bytes(found)


def kinds() -> Iterator[str]:
    """What the pages of a block map's file are, one after the other (Linux jfs_dmap.h, BLKTODMAP)."""
    yield "control"
    yield "tree"
    while True:
        yield "tree"
        for _ in range(1024):
            yield "tree"
            yield from ["bits"] * 1024


def _map_of(little: IO[bytes]) -> tuple[list[int], list[tuple[str, int]], list[int]]:
    """Of a Linux JFS: where both inodes of the map lie, the pages of the map's file, and those of its trees."""
    block = struct.unpack("<I", _get(little, 0x8000 + 16, 4))[0]
    copy = _extent_of(_get(little, 0x8000 + 48, 8), "<")[1] * block + 2 * 512
    trees: list[int] = []
    places = [at for start, length in _leaves(little, INODE + _ROOT, 288, trees) for at in range(start, start + length)]
    pages = [
        (kind, at * block)
        for kind, at in zip(kinds(), places, strict=False)
        if _get(little, at * block, PAGE).strip(b"\0")
    ]
    return [INODE, copy], pages, list(dict.fromkeys(trees))


def _leaves(little: IO[bytes], at: int, room: int, trees: list[int]) -> Iterator[tuple[int, int]]:
    page = _get(little, at, room)
    for slot in range(2, struct.unpack_from("<H", page, 18)[0]):
        length, address = _extent_of(page[16 * slot + 8 : 16 * slot + 16], "<")
        if page[16] & 2:
            yield address, length
        else:
            trees.append(address * PAGE)
            yield from _leaves(little, address * PAGE, PAGE, trees)


def _get(file: IO[bytes], at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _put(file: IO[bytes], at: int, data: bytes) -> None:
    file.seek(at)
    file.write(data)


# --- forged -------------------------------------------------------------------------------------------


def forge(path: Path, block: int, used: NDArray[np.bool_], log: int = 8) -> NDArray[np.bool_]:
    """A JFS2 of ``used.size`` blocks of so many bytes, and behind them a work area and a log, of ``log`` blocks each.

    Returns which blocks its map calls used: those of ``used``, the boot area, and what it needs itself.
    """
    count, pages = used.size, -(-used.size // 8192)
    bits = used.copy()
    first, room = 0x10000 // block, (4 + pages) * (PAGE // block)
    second = first + room
    bits[: second + 16384 // block] = True
    with path.open("wb") as file:
        file.truncate((count + 2 * log) * block)
        for at in SUPERBLOCKS:
            _put(file, at, _forged_superblock(block, count, second, log))
        for at in (0xB000, second * block):
            _put(file, at + 1024, _forged_inode(first, room, block))
        for number, page in enumerate(_forged_map(block, bits)):
            _put(file, first * block + number * PAGE, page)
    return bits


def group_size(count: int) -> int:
    """Blocks: the smallest with which so many blocks make at most 128 groups."""
    size = 8192
    while -(-count // size) > 128:
        size *= 2
    return size


def _forged_superblock(block: int, count: int, second: int, log: int) -> bytes:
    power = block.bit_length() - 1
    found = bytearray(256)
    found[:8] = b"J2FS" + struct.pack(">I", 2)
    struct.pack_into(">Q5I", found, 56, count * (block // 512), block, power, 512, 9, power - 9)
    struct.pack_into(">2I", found, 84, group_size(count), _AIX | 0x800)
    table = 16384 // block
    for at, extent in ((96, (table, 0xB000 // block)), (104, (table, second)), (136, (log, count + log))):
        found[at : at + 8] = _extent(*extent)
    found[144:152] = _extent(log, count)
    return bytes(found)


def _forged_inode(first: int, room: int, block: int) -> bytes:
    found = bytearray(512)
    struct.pack_into(">QIII", found, 0, 2, 0, 1, 0)
    struct.pack_into(">q", found, 32, room * block)
    struct.pack_into(">II", found, 56, 1, 0x8000)
    struct.pack_into(">BBHH", found, _ROOT + 16, 0x83, 0, 3, 18)
    found[_ROOT + 40 : _ROOT + 48] = _extent(room, first)
    return bytes(found)


def _forged_map(block: int, bits: NDArray[np.bool_]) -> Iterator[bytes]:
    """At most 1024 pages of bits, so that one tree stands over them."""
    groups = group_size(bits.size)
    height = sum(bits.size > 8192 * 1024**level for level in (1, 2))
    free = int((~bits).sum())
    power = (PAGE // block).bit_length() - 1
    control = struct.pack(">QQ4I", bits.size, free, power, -(-bits.size // groups), height, 0)
    yield control.ljust(1080, b"\0") + struct.pack(">Q", groups).ljust(PAGE - 1080, b"\0")
    pages, roots = [], []
    for first in range(0, bits.size, 8192):
        here = np.ones(8192, dtype=bool)
        part = bits[first : first + 8192]
        here[: part.size] = part
        tree = tree_over(np.array([largest_free(word) for word in here.reshape(-1, 32)], dtype=np.int8), 5)
        head = struct.pack(">IIQ4Ib", part.size, int((~part).sum()), first, 256, 8, 85, 4, 5) + tree.tobytes()
        words = np.packbits(here).tobytes()
        pages.append(head.ljust(2048, b"\0") + words + words)
        roots.append(int(tree[0]))
    leaves = np.full(1024, -1, dtype=np.int8)
    leaves[: len(roots)] = roots
    upper = struct.pack(">4Ib", 1024, 10, 341, 5, 13) + tree_over(leaves, 13).tobytes()
    yield bytes(PAGE)
    yield bytes(PAGE)
    yield upper.ljust(PAGE, b"\0")
    yield from pages


def tree_over(leaves: NDArray[np.int8], least: int) -> NDArray[np.int8]:
    """As jfsutils builds it (libfs/fsckwsp.c): neighbours that are wholly free become one, then each node is the
    largest of its four children.
    """
    leaves, apart, level = leaves.copy(), 1, least
    while apart < leaves.size:
        for first in range(0, leaves.size, 2 * apart):
            if leaves[first] == leaves[first + apart] == level:
                leaves[first], leaves[first + apart] = level + 1, -1
        apart, level = 2 * apart, level + 1
    levels = [leaves]
    while levels[0].size > 1:
        levels.insert(0, levels[0].reshape(-1, 4).max(axis=1))
    return np.concatenate(levels).astype(np.int8)


def largest_free(bits: NDArray[np.bool_]) -> int:
    """The power of two of the largest aligned run of free blocks in a word of 32, or -1."""
    for power in range(5, -1, -1):
        if (~bits.reshape(-1, 1 << power).any(axis=1)).any():
            return power
    return -1
