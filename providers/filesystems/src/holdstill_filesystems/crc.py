"""Checksums of many messages at once.

A CRC is linear: each byte of a message changes the result by a value that depends on the byte and on how many bytes
follow it, and on nothing else. So there is one table of these values, and a checksum is one look-up a byte, all at
once, and an xor of what was found.

Long messages are made shorter first. Some power of x leaves the same remainder as a sum of a few lower ones: then a
byte may be taken from its place, if it is added (xor) to as many places further on. That is done for hundreds of bytes
at once, until so few are left that looking them up costs little.

Registers are kept as they are: no final inversion, as the file systems that use them want it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Registers = NDArray[np.uint32]

#: how many bytes are looked up at once for each message; the table has 1 KiB for each. What is folded is no longer
_SPAN: Final = 1024


class Crc:
    """A reflected CRC of up to 32 bits. ``polynomial`` is the reflected one.

    ``folds``: how many bytes further on a byte may be added instead, in each of these places, the nearest first; none
    if that is not known.
    """

    def __init__(self, polynomial: int, folds: tuple[int, ...] = ()) -> None:
        self._polynomial = polynomial
        self._folds = folds

    def one(self, message: bytes, seed: int) -> int:
        """The register after ``message``, begun with ``seed``."""
        return int(self.many(np.frombuffer(message, dtype=np.uint8).reshape(1, -1), seed)[0])

    def many(self, messages: NDArray[np.uint8], seed: int | Registers) -> Registers:
        """The register after each row of ``messages`` (count x length), begun with ``seed`` (one, or one a row)."""
        registers = np.broadcast_to(np.asarray(seed, dtype=np.uint32), messages.shape[:1])
        if self._folds and messages.shape[1] > 2 * self._folds[-1]:
            messages, registers = self._folded(messages, registers), np.zeros_like(registers)
        for at in range(0, messages.shape[1], _SPAN):
            part = messages[:, at : at + _SPAN]
            registers = self._advance(registers, part.shape[1]) ^ self._looked_up(part, part.shape[1])
        return registers

    def _folded(self, messages: NDArray[np.uint8], registers: Registers) -> NDArray[np.uint8]:
        """Shorter messages with the same result, when begun with nothing: what the register held is in them."""
        folded = messages.copy()
        folded[:, :4] ^= np.ascontiguousarray(registers, dtype="<u4").view(np.uint8).reshape(-1, 4)
        past = messages.shape[1] - self._folds[-1]
        for at in range(0, past, self._folds[0]):
            end = min(at + self._folds[0], past)
            for by in self._folds:
                folded[:, at + by : end + by] ^= folded[:, at:end]
        return folded[:, past:]

    def _advance(self, registers: Registers, length: int) -> Registers:
        """The registers after ``length`` further zero bytes: their own bytes are the first of the message."""
        own = np.ascontiguousarray(registers, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :length]
        left = registers >> np.uint32(8 * length) if length < 4 else np.uint32(0)
        return self._looked_up(own, length) ^ left

    def _looked_up(self, messages: NDArray[np.uint8], length: int) -> Registers:
        """What these bytes, the first ones of messages of ``length``, make of an empty register."""
        places = np.arange(_SPAN - length, _SPAN - length + messages.shape[1]) * 256
        found: Registers = np.bitwise_xor.reduce(self._table.take(places + messages), axis=1)
        return found

    @cached_property
    def _table(self) -> Registers:
        """256 values for each place in a message of ``_SPAN`` bytes, flat."""
        values: Registers = np.arange(256, dtype=np.uint32)
        for _ in range(8):
            values = values >> np.uint32(1) ^ (values & np.uint32(1)) * np.uint32(self._polynomial)
        rows = [values]
        for _ in range(_SPAN - 1):
            rows.append(rows[-1] >> np.uint32(8) ^ values[rows[-1] & 255])
        return np.concatenate(rows[::-1])


#: Castagnoli's (RFC 3720 appendix B.4). x^(8*499) leaves what the sum of x^(8*192), x^(8*191), x^(8*182), x^(8*47)
#: and 1 leaves, found by trying: the nearest place is 499 - 192 bytes further on
CRC32C: Final = Crc(0x82F63B78, (307, 308, 317, 452, 499))
#: CRC-16-ANSI (Linux lib/crc/crc16.c)
CRC16: Final = Crc(0xA001)
