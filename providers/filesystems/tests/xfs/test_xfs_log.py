"""File systems that were not unmounted: frozen ones have a map, all others are taken whole."""

from __future__ import annotations

import os
import struct

import pytest

from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing import volumes
from holdstill_testing.destruction import destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds

pytestmark = pytest.mark.root


def round_of(path, log):
    """How often the log has been begun."""
    with path.open("rb") as image:
        image.seek(log)
        first, second = struct.unpack(">II", image.read(8))
    return second if first == 0xFEEDBABE else first


def notes(path):
    with FileReader(path) as reader:
        found = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
    assert isinstance(found, BlockMap), found
    return found.notes


def test_a_frozen_one_says_so(made_xfs):
    assert notes(made_xfs("frozen").path) == ("the file system was frozen: its log holds nothing but the superblock",)
    assert notes(made_xfs("default").path) == ()


def test_mounted_and_busy_and_frozen_in_turn(made_xfs, tmp_path, said, xfs):
    """Read in place until the log has gone round its end: only while it is frozen is there a map."""
    image = made_xfs("small-log").copy(tmp_path / "turns.img")
    chance = dice("xfs/turns")
    log, _ = image.log()
    begun = round_of(image.path, log)
    with volumes.mounted(image.path, "-o", "nouuid") as point:
        for turn in range(max(8, rounds(100))):
            for number in range(chance.randrange(20, 40)):
                with (point / f"{turn % 3}-{number}").open("wb") as file:
                    file.write(chance.randbytes(chance.randrange(9000)))
                    os.fsync(file.fileno())
                if number % 3:
                    (point / f"{turn % 3}-{number}").unlink()
            assert isinstance(said(image.path), str), "a log with a transaction in it"
            xfs("fsfreeze", "-f", point)
            try:
                assert said(image.path) == image.truth()
            finally:
                xfs("fsfreeze", "-u", point)
    assert said(image.path) == image.truth()
    assert round_of(image.path, log) > begun


@pytest.mark.parametrize("how", ["sync", "shutdown", "shutdown -f"])
def test_cut_off_while_busy(made_xfs, tmp_path, said, xfs, how):
    """The volume as a crash leaves it: taken whole, or the map is true for what recovery makes of it."""
    image = made_xfs("default").copy(tmp_path / "cut.img")
    with volumes.mounted(image.path, "-o", "nouuid") as point:
        for number in range(200):
            (point / f"cut{number}").write_bytes(b"cut" * 500 * number)
        if how == "sync":
            xfs("sync", "-f", point)
        xfs("xfs_io", "-x", "-c", "shutdown -f" if how == "sync" else how, point)
        xfs("umount", point)
    found = said(image.path)
    if how in {"sync", "shutdown -f"}:
        assert "changes that were not yet carried out" in found or "more than" in found
    if isinstance(found, Extents):
        destroy(image.path, tmp_path / "destroyed.img", found)
        with volumes.mounted(tmp_path / "destroyed.img", "-o", "nouuid"):
            pass
        xfs("xfs_repair", "-n", "-f", tmp_path / "destroyed.img")
    with volumes.mounted(image.path, "-o", "nouuid"):
        pass
    assert said(image.path) == image.truth()


def test_a_log_on_another_device(tmp_path, said, xfs):
    path = volumes.sparse(tmp_path / "data.img", 64 << 20)
    log = volumes.sparse(tmp_path / "log.img", 64 << 20)
    xfs("mkfs.xfs", "-q", "-l", f"logdev={log}", path)

    assert said(path) == "its log is on another device, so nobody can say here whether it was unmounted"
    with FileReader(log) as reader:
        assert plugin.recognise(reader) is None or plugin.recognise(reader).name != "xfs"


def test_realtime_files_are_on_another_device(tmp_path, said, xfs):
    path = volumes.sparse(tmp_path / "data.img", 64 << 20)
    realtime = volumes.sparse(tmp_path / "realtime.img", 64 << 20)
    xfs("mkfs.xfs", "-q", "-m", "reflink=0", "-r", f"rtdev={realtime}", path)
    assert notes(path) == ("its realtime files are on another device and not in this image",)

    destroy(path, tmp_path / "destroyed.img", said(path))

    xfs("xfs_repair", "-n", "-f", "-r", realtime, tmp_path / "destroyed.img")


class TestRecords:
    """The log of a frozen one, changed."""

    @pytest.fixture
    def log(self, made_xfs, tmp_path):
        """A copy to write to, where its log lies, and where its records are in it (bytes)."""
        image = made_xfs("frozen").copy(tmp_path / "changed.img")
        start, length = image.log()
        with image.path.open("rb") as file:
            file.seek(start)
            log = file.read(length)
        records = [at for at in range(0, len(log), 512) if log[at : at + 4] == b"\xfe\xed\xba\xbe"]
        last = max(records, key=lambda at: struct.unpack_from(">Q", log, at + 16))
        return image.path, start, log, last

    def write(self, path, at, data):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    @pytest.mark.parametrize(
        ("at", "data"),
        [
            (4, b"\0\0\0\x09"),
            (8, b"\0\0\0\x07"),
            (12, b"\0\0\x40\0"),
            (12, b"\0\0\0\0"),
            (16, bytes(8)),
            (24, b"\0\0\0\x01\x7f\xff\xff\xff"),
            (24, bytes(8)),
            (32, b"????"),
            (32, bytes(4)),
            (40, b"\0\0\0\0"),
            (40, b"\x7f\xff\xff\xff"),
            (300, b"\0\0\0\x03"),
            (304, b"another file sys"),
            (320, b"\xff\xff\xff\xff"),
            (512 + 20, b"?"),
        ],
    )
    def test_a_changed_last_record_is_no_map(self, log, said, at, data):
        path, start, _, last = log
        self.write(path, start + last + at, data)

        assert isinstance(said(path), str)

    @pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\xfe\xed\xba\xbe"])
    def test_a_log_of_one_word(self, log, said, fill):
        path, start, whole, _ = log
        self.write(path, start, (fill * 4)[:4] * (len(whole) // 4))

        assert isinstance(said(path), str)

    def test_a_torn_end(self, log, said):
        """A block of the present round behind the end: something was under way."""
        path, start, whole, last = log
        self.write(path, start + last + 100 * 512, whole[last + 4 : last + 8])

        assert said(path) == "the log's end is torn: the file system was not unmounted"
