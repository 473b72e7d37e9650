"""What a still must know of a JFS2 beside its blocks: where its log is, which no snapshot holds.

Source: AIX j2/j2_superblock.h, j2_types.h, j2_filsys.h.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader

_AT: Final = 0x8000
_INLINE_LOG: Final = 0x800


@attrs.frozen
class Superblock:
    """Bytes."""

    block: int
    log: Extents
    """The log inside; none if it lies elsewhere."""

    @classmethod
    def read(cls, reader: Reader) -> Superblock:
        """Raises ``VolumeUnusable`` for what is no JFS2."""
        data = reader.read(_AT, 256) if reader.size >= _AT + 256 else bytes(256)
        (block,), (flag,) = struct.unpack_from(">I", data, 64), struct.unpack_from(">I", data, 88)
        if data[:4] != b"J2FS" or block not in (512, 1024, 2048, 4096):
            raise VolumeUnusable("there is no JFS2 in it, although one is mounted from it")
        if not flag & _INLINE_LOG:
            return cls(block, Extents.none())
        length, address = int.from_bytes(data[136:139], "big"), int.from_bytes(data[139:144], "big")
        if not length or (address + length) * block > reader.size:
            raise VolumeUnusable("the log inside it does not lie inside it")
        return cls(block, Extents.of((address * block, length * block)))
