"""The four kinds of checksum of Btrfs, each over everything of a block behind the checksum itself.

Source: Linux fs/btrfs/fs.h (``enum btrfs_csum_type``), ``csum_tree_block``; xxhash.com, "xxHash fast digest algorithm".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdstill_filesystems.crc import CRC32C

#: rows of one block each
Rows: TypeAlias = NDArray[np.uint8]

#: how many bytes at the start of every superblock and tree block are its checksum's, whatever of them it uses
ROOM: Final = 32

_PRIMES: Final = tuple(
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)


def fits(kind: int, rows: Rows) -> NDArray[np.bool_]:
    """Does each row begin with the checksum of the rest? ``kind`` is one of ``KINDS``."""
    computed = KINDS[kind](rows[:, ROOM:])
    return np.asarray((rows[:, : computed.shape[1]] == computed).all(axis=1), dtype=np.bool_)


def xxhash64(rows: Rows) -> NDArray[np.uint64]:
    """XXH64 with seed 0 of each row. Rows are multiples of 32 bytes, at least one: no tail is handled."""
    one, two, three, four, _ = _PRIMES
    lanes = np.ascontiguousarray(rows).view("<u8").reshape(len(rows), -1, 4)
    state = np.broadcast_to(np.array([one + two, two, 0, np.uint64(0) - one], dtype=np.uint64), (len(rows), 4))
    for at in range(lanes.shape[1]):
        state = _rotated(np.add(state, lanes[:, at] * two, dtype=np.uint64), 31) * one
    turns = [_rotated(state[:, lane], turn) for lane, turn in enumerate((1, 7, 12, 18))]
    result = turns[0] + turns[1] + turns[2] + turns[3]
    for lane in range(4):
        result = (result ^ _rotated(state[:, lane] * two, 31) * one) * one + four
    result = result + np.uint64(rows.shape[1])
    result = (result ^ result >> np.uint64(33)) * two
    result = (result ^ result >> np.uint64(29)) * three
    return np.asarray(result ^ result >> np.uint64(32), dtype=np.uint64)


def _rotated(values: NDArray[np.uint64], by: int) -> NDArray[np.uint64]:
    return values << np.uint64(by) | values >> np.uint64(64 - by)


def _crc32c(rows: Rows) -> Rows:
    return (~CRC32C.many(rows, 0xFFFFFFFF)).astype("<u4").view(np.uint8).reshape(-1, 4)


def _xxhash64(rows: Rows) -> Rows:
    with np.errstate(over="ignore"):
        return xxhash64(rows).astype("<u8").view(np.uint8).reshape(-1, 8)


def _by_hashlib(digest: Callable[[bytes], bytes]) -> Callable[[Rows], Rows]:
    def many(rows: Rows) -> Rows:
        return np.frombuffer(b"".join(digest(row.tobytes()) for row in rows), dtype=np.uint8).reshape(-1, ROOM)

    return many


#: by the number in the superblock: crc32c, xxhash64, sha256, blake2b of 256 bits
KINDS: Final[dict[int, Callable[[Rows], Rows]]] = {
    0: _crc32c,
    1: _xxhash64,
    2: _by_hashlib(lambda row: hashlib.sha256(row).digest()),
    3: _by_hashlib(lambda row: hashlib.blake2b(row, digest_size=ROOM).digest()),
}
