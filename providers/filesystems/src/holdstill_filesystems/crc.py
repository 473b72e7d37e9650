"""Checksums of many messages at once.

A CRC is linear: the checksum of two halves is the first half's, advanced over as many zero bytes as the second half
has, xor the second half's. So a message is folded in halves, all messages and all pairs side by side, and 64 bitmaps
of 4 KiB cost a few dozen numpy calls instead of 64 x 4096 steps.

Registers are kept as they are: no final inversion, as the file systems that use them want it.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray

Registers = NDArray[np.uint32]


class Crc:
    """A reflected CRC of up to 32 bits. ``polynomial`` is the reflected one."""

    def __init__(self, polynomial: int) -> None:
        shifts = np.left_shift(np.uint32(1), np.arange(31, dtype=np.uint32), dtype=np.uint32)
        bit = np.concatenate((np.array([polynomial], dtype=np.uint32), shifts))
        byte = bit
        for _ in range(3):
            byte = _apply(_table(byte), byte)
        self._one_byte: Final = byte
        self._columns = functools.cache(self._columns_uncached)
        self._tables = functools.cache(lambda length: _table(self._columns(length)))

    def one(self, message: bytes, seed: int) -> int:
        """The register after ``message``, begun with ``seed``."""
        if not message:
            return seed
        return int(self.many(np.frombuffer(message, dtype=np.uint8).reshape(1, -1), seed)[0])

    def many(self, messages: NDArray[np.uint8], seed: int | Registers) -> Registers:
        """The register after each row of ``messages`` (count x length), begun with ``seed`` (one, or one a row)."""
        count, length = messages.shape
        words = -(-length // 4)
        width = 1 << (words - 1).bit_length()
        if width * 4 != length or not messages.flags.c_contiguous:
            # zero bytes in front change nothing, as the fold itself begins with an empty register
            padded = np.zeros((count, width * 4), dtype=np.uint8)
            padded[:, width * 4 - length :] = messages
            messages = padded
        folded: Registers = messages.view("<u4").astype(np.uint32, copy=False)
        span = 4
        while folded.shape[1] > 1:
            folded = self._advance(folded[:, 0::2], span) ^ folded[:, 1::2]
            span *= 2
        return self._advance(folded[:, 0], 4) ^ self._advance(np.asarray(seed, dtype=np.uint32), length)

    def _advance(self, registers: Registers, length: int) -> Registers:
        """The registers after ``length`` further zero bytes."""
        return _apply(self._tables(length), registers)

    def _columns_uncached(self, length: int) -> Registers:
        """What each single bit of a register becomes after ``length`` zero bytes."""
        if length == 1:
            return self._one_byte
        half = self._columns(length // 2)
        whole = _apply(_table(half), half)
        return _apply(_table(self._one_byte), whole) if length % 2 else whole


def _table(columns: Registers) -> NDArray[np.uint32]:
    """For each of a register's four bytes and each value of it: what it becomes (4 x 256)."""
    table = np.zeros((4, 1), dtype=np.uint32)
    for bit in range(8):
        table = np.concatenate((table, table ^ columns.reshape(4, 8)[:, bit : bit + 1]), axis=1)
    return table


def _apply(table: NDArray[np.uint32], registers: Registers) -> Registers:
    low, second = table[0][registers & 255], table[1][registers >> 8 & 255]
    result: Registers = low ^ second ^ table[2][registers >> 16 & 255] ^ table[3][registers >> 24]
    return result


#: Castagnoli's (RFC 3720 appendix B.4)
CRC32C: Final = Crc(0x82F63B78)
#: CRC-16-ANSI (Linux lib/crc/crc16.c)
CRC16: Final = Crc(0xA001)
