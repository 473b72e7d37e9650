"""XFS images changed by hand: checksums that fit, and trees of free space as large as wanted.

Written from the kernel's header alone (fs/xfs/libxfs/xfs_format.h), so that it shares no mistake with the reader.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: where each structure of version 5 has its checksum, by how it begins
_SEALS: Final = {b"XFSB": 224, b"XAGF": 216, b"XAGI": 312, b"XAFL": 32, b"AB3B": 52, b"AB3C": 52}
_NONE: Final = 0xFFFFFFFF
_MAGICS: Final = {"bno": b"ABTB", "cnt": b"ABTC"}
_TABLE: Final[list[int]] = []


def crc32c(data: bytes) -> int:
    """CRC-32C as RFC 3720 has it, a byte at a time."""
    if not _TABLE:
        for value in range(256):
            for _ in range(8):
                value = value >> 1 ^ (value & 1) * 0x82F63B78
            _TABLE.append(value)
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ _TABLE[(register ^ byte) & 255]
    return register ^ 0xFFFFFFFF


def sealed(data: bytes) -> bytes:
    """A sector or block of version 5 with a checksum that fits."""
    at = _SEALS[data[:4]]
    return data[:at] + struct.pack("<I", crc32c(data[:at] + bytes(4) + data[at + 4 :])) + data[at + 4 :]


def shatter(path: Path, group: int, count: int) -> NDArray[np.int64]:
    """Make an allocation group of a version 4 image, without a log in it, have so many free runs, and no others.

    Returns the runs: offset and length in bytes. What else was free becomes used, by nobody.
    """
    with path.open("r+b") as image:
        superblock = bytearray(image.read(512))
        (block,) = struct.unpack_from(">I", superblock, 4)
        (in_group,) = struct.unpack_from(">I", superblock, 84)
        (sector,) = struct.unpack_from(">H", superblock, 102)
        base = group * in_group * block
        image.seek(base + sector)
        header = bytearray(image.read(sector))
        room = 64 + 6 * (count * 8 // block + 8)
        index = np.arange(count, dtype=np.int64)
        runs = np.stack((room + 4 * index, 1 + index % 2), axis=1)
        assert room + 4 * count < in_group
        place, blocks = 64, 0
        for number, (name, order) in enumerate((("bno", index), ("cnt", np.lexsort((runs[:, 0], runs[:, 1]))))):
            tree, root, levels = _tree(runs[order], _MAGICS[name], block, place)
            image.seek(base + place * block)
            image.write(tree)
            struct.pack_into(">I", header, 16 + 4 * number, root)
            struct.pack_into(">I", header, 28 + 4 * number, levels)
            blocks += len(tree) // block - 1
            place += len(tree) // block
        assert place < room
        free = int(runs[:, 1].sum())
        before = sum(struct.unpack_from(">I", header, at)[0] for at in (52, 60))
        struct.pack_into(">III", header, 52, free, int(runs[:, 1].max()), blocks)
        image.seek(base + sector)
        image.write(header)
        total = struct.unpack_from(">Q", superblock, 144)[0] - before + free + blocks
        struct.pack_into(">Q", superblock, 144, total)
        image.seek(0)
        image.write(superblock)
    found: NDArray[np.int64] = runs * block + np.array([base, 0])
    return found


def _tree(runs: NDArray[np.int64], magic: bytes, block: int, place: int) -> tuple[bytes, int, int]:
    """The blocks of a tree that begins at ``place``, the block of its root, and how many levels it has."""
    keys, children, level, written = runs, np.empty(0, dtype=np.int64), 0, list[bytes]()
    while True:
        most = (block - 16) // (12 if level else 8)
        heads = range(0, len(keys), most)
        places = place + len(written) + np.arange(len(heads))
        for number, head in enumerate(heads):
            here = keys[head : head + most]
            left = int(places[number - 1]) if number else _NONE
            right = int(places[number + 1]) if number + 1 < len(heads) else _NONE
            data = magic + struct.pack(">HHII", level, len(here), left, right) + here.astype(">u4").tobytes()
            if level:
                data = data.ljust(16 + most * 8, b"\0") + children[head : head + most].astype(">u4").tobytes()
            written.append(data.ljust(block, b"\0"))
        level += 1
        if len(heads) == 1:
            return b"".join(written), int(places[0]), level
        keys, children = keys[::most], places
