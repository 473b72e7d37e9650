"""The checksums of version 5: a CRC-32C over the whole structure, its own field as zeros, stored little-endian."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill_filesystems.blocks import Rows
from holdstill_filesystems.crc import CRC32C, Registers

_ONES: Final = 0xFFFFFFFF


def unsealed(rows: Rows, at: int) -> NDArray[np.int64]:
    """Which rows do not fit the checksum that lies ``at`` bytes into each."""
    blanked = rows.copy()
    blanked[:, at : at + 4] = 0
    stored: Registers = np.ascontiguousarray(rows[:, at : at + 4]).view("<u4").reshape(-1)
    return np.flatnonzero(stored != CRC32C.many(blanked, _ONES) ^ np.uint32(_ONES))


def checksum(*parts: bytes) -> int:
    """The checksum of these parts, one behind the other."""
    register = _ONES
    for part in parts:
        register = CRC32C.one(part, register)
    return register ^ _ONES
