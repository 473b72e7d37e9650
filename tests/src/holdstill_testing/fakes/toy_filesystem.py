"""A file system small enough to be read at a glance, for trying what reads block maps.

offset 0   8 bytes   b"TOYFS001"
       8   u32       block size in bytes, little-endian, a power of two from 512 to 65536
      12   u32       number of blocks of the whole file system
      16   u32       CRC-32 of the bitmap
      20   ...       bitmap: bit i of byte i//8 (lowest first) is set if block i is in use
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.model.volume import FilesystemFacts
from holdstill.spi.reader import Reader

NAME: Final = "toyfs"
_HEAD: Final = struct.Struct("<8sIII")
_WINDOW: Final = 512


def make_image(blocks: int, used: Iterable[int], block_size: int = 4096) -> bytes:
    """An image with data in each used block. Those of the header and the bitmap are used, too."""
    held = np.zeros(blocks, dtype=np.bool_)
    chosen = list(used)
    held[chosen] = True
    head_size = _HEAD.size + -(-blocks // 8)
    held[: -(-head_size // block_size)] = True
    image = bytearray(blocks * block_size)
    for block in chosen:
        image[block * block_size : (block + 1) * block_size] = bytes([1 + block % 255]) * block_size
    bitmap = np.packbits(held, bitorder="little").tobytes()
    image[:head_size] = _HEAD.pack(b"TOYFS001", block_size, blocks, zlib.crc32(bitmap)) + bitmap
    return bytes(image)


def recognise(reader: Reader) -> FilesystemFacts | None:
    """Is it one?"""
    if reader.size < _HEAD.size or reader.read(0, 8) != b"TOYFS001":
        return None
    return FilesystemFacts(NAME)


def enumerate_used_blocks(reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume:
    """The used blocks, in windows of a few hundred."""
    if facts.name != NAME or recognise(reader) is None:
        return WholeVolume("this is no toy file system")
    _, block_size, blocks, check = _HEAD.unpack(reader.read(0, _HEAD.size))
    if block_size not in {1 << shift for shift in range(9, 17)} or blocks * block_size > reader.size:
        return WholeVolume("its header makes no sense")
    return BlockMap(block_size, _windows(reader, block_size, blocks, check))


def _windows(reader: Reader, block_size: int, blocks: int, check: int) -> Iterator[Extents]:
    bitmap = reader.read(_HEAD.size, -(-blocks // 8))
    if zlib.crc32(bitmap) != check:
        raise StructureFault(f"the bitmap at {_HEAD.size} is damaged")
    flags = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), bitorder="little")[:blocks].astype(np.bool_)
    for first in range(0, blocks, _WINDOW):
        if part := Extents.from_bitmap(flags[first : first + _WINDOW], block_size, first * block_size):
            yield part
