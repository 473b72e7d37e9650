"""Checksums of many messages at once, against the plain algorithm and published check values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill_filesystems.crc import CRC16, CRC32C


def plain(polynomial, message, register):
    for byte in message:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register


def test_published_check_values():
    """The catalogue's CRC-32/ISCSI (inverted at the end) and CRC-16/ARC of "123456789"."""
    assert CRC32C.one(b"123456789", 0xFFFFFFFF) ^ 0xFFFFFFFF == 0xE3069283
    assert CRC16.one(b"123456789", 0) == 0xBB3D


@pytest.mark.parametrize(("crc", "polynomial", "mask"), [(CRC32C, 0x82F63B78, 0xFFFFFFFF), (CRC16, 0xA001, 0xFFFF)])
@settings(deadline=None)
@given(message=st.binary(max_size=300), seed=st.integers(0, 0xFFFFFFFF))
def test_one(crc, polynomial, mask, message, seed):
    assert crc.one(message, seed & mask) == plain(polynomial, message, seed & mask)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=37, max_size=37), min_size=1, max_size=9), st.data())
def test_many_are_as_one(messages, data):
    seeds = data.draw(st.lists(st.integers(0, 0xFFFFFFFF), min_size=len(messages), max_size=len(messages)))
    rows = np.frombuffer(b"".join(messages), dtype=np.uint8).reshape(len(messages), -1)

    found = CRC32C.many(rows, np.array(seeds, dtype=np.uint32))

    assert found.tolist() == [CRC32C.one(*pair) for pair in zip(messages, seeds, strict=True)]


@pytest.mark.parametrize("length", [997, 998, 999, 1000, 1305, 1306, 1613, 4064, 4096, 5000, 16352])
def test_long_messages_that_are_made_shorter(length):
    generator = np.random.default_rng(length)
    rows = generator.integers(0, 256, (3, length), dtype=np.uint8)
    seeds = generator.integers(0, 1 << 32, 3, dtype=np.uint32)
    before = rows.copy()

    found = CRC32C.many(rows, seeds)

    assert found.tolist() == [
        plain(0x82F63B78, row.tobytes(), int(seed)) for row, seed in zip(rows, seeds, strict=True)
    ]
    assert (rows == before).all(), "the caller's bytes were changed"
