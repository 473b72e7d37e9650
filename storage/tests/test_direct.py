"""Writes past the page cache: whatever the length and the parts, the file is what was given."""

from __future__ import annotations

import errno
import os

import pytest

from holdstill_storage import direct, files
from holdstill_testing.torture import dice

LENGTHS = [direct.PIECE - 1, direct.PIECE, direct.PIECE + 1, 2 * direct.PIECE + 4096, 3 * direct.PIECE + 77, 1 << 20]


@pytest.fixture
def file(tmp_path):
    file = os.open(tmp_path / "new", os.O_RDWR | os.O_CREAT)
    yield file
    os.close(file)


def parts_of(data):
    chance, parts, at = dice("parts"), [], 0
    while at < len(data):
        length = chance.choice([1, 44, 4096, 100_000, 262_144, 3_000_000])
        parts.append(memoryview(data)[at : at + length])
        at += length
    return parts


@pytest.mark.parametrize("length", LENGTHS)
def test_the_file_is_the_parts(file, length):
    data = dice(f"direct {length}").randbytes(length)
    assert files.write_through(file, parts_of(data)) == length
    assert os.fstat(file).st_size == length
    assert os.pread(file, length + 1, 0) == data


def test_it_is_direct_where_it_can_be(file, monkeypatch):
    data, flags = dice("flags").randbytes(2 << 20), []
    real = direct._write_all
    monkeypatch.setattr(
        direct, "_write_all", lambda file, piece: (flags.append(direct.fcntl.fcntl(file, 3)), real(file, piece))
    )
    written = direct.write(file, [memoryview(data)], len(data))
    assert all(flag & os.O_DIRECT for flag in flags)
    assert os.fstat(file).st_size == (len(data) if written else 0)
    assert not direct.fcntl.fcntl(file, direct.fcntl.F_GETFL) & os.O_DIRECT


@pytest.mark.parametrize("at", [0, 1])
def test_a_file_system_that_refuses_leaves_it_to_the_cache(file, monkeypatch, at):
    """Some accept O_DIRECT and refuse the write, the first or a later one."""
    real, seen = direct._write_all, []

    def refusing(file, piece):
        seen.append(len(piece))
        if len(seen) > at:
            raise OSError(errno.EINVAL, "no")
        real(file, piece)

    monkeypatch.setattr(direct, "_write_all", refusing)
    data = dice("refused").randbytes(2 * direct.PIECE + 5)
    assert files.write_through(file, [data]) == len(data)
    assert os.pread(file, len(data) + 1, 0) == data


def test_a_full_disk_is_told(file, monkeypatch):
    def full(_file, _piece):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(direct, "_write_all", full)
    with pytest.raises(OSError, match="full"):
        files.write_through(file, [bytes(2 << 20)])
    assert not direct.fcntl.fcntl(file, direct.fcntl.F_GETFL) & os.O_DIRECT
