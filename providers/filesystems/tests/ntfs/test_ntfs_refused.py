"""What was not left in order, and what keeps more than the bitmap says, is taken whole, and told why."""

from __future__ import annotations

import re
import struct
import subprocess

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.ntfs.boot import Boot
from holdstill_filesystems.ntfs.records import Kind
from holdstill_filesystems.ntfs.table import FileTable
from holdstill_testing.destruction import PatchedReader, answer
from holdstill_testing.fakes.file_reader import FileReader

KIND = "clusters-4k"
PAGE = 4096


class Places:
    """Where the structures of an image lie, in bytes."""

    def __init__(self, path):
        with FileReader(path) as reader:
            self.path = path
            self.boot = Boot.read(reader)
            self.table = FileTable(reader, self.boot)
            self.log = int(self.table.stream(2, Kind.DATA).runs.at[0]) * self.boot.cluster_size
            self.log_size = self.table.stream(2, Kind.DATA).size
            self.mirror = self.boot.record["mirror"] * self.boot.cluster_size
            self.record = {number: self.table.record(number).record.offset for number in range(12)}
            self.attributes = {
                (number, found.kind): found.record.offset
                for number in range(12)
                for found in self.table.record(number).attributes()
            }
            self.bitmap = int(self.table.stream(6, Kind.DATA).runs.at[0]) * self.boot.cluster_size

    def both(self, number, at, data):
        """A patch of a record that is mirrored."""
        return (at, data), (at - self.record[number] + self.mirror + number * self.boot.record_size, data)


@pytest.fixture
def places(ntfs):
    return Places(ntfs(KIND).path)


@pytest.fixture
def said(ntfs):
    """Changes a copy of an image in memory, and asks for its map: ``said((offset, bytes), ...)``."""

    def ask(*patches, kind=KIND):
        with PatchedReader(ntfs(kind).path) as reader:
            for at, data in patches:
                reader.patch(at, data)
            return answer(reader, plugin)

    return ask


class TestFlags:
    @pytest.mark.parametrize(
        ("flags", "because"),
        [
            (0x0001, "dirty"),
            (0x0002, "log"),
            (0x0004, "upgraded"),
            (0x0010, "being deleted"),
            (0x0020, "repaired"),
            (0x4000, "chkdsk has begun"),
            (0x0040, "0x40 are not known"),
            (0x8009, "dirty"),
        ],
    )
    def test_what_is_still_to_be_done(self, said, places, flags, because):
        at = places.attributes[3, Kind.VOLUME_INFORMATION] + 24 + 10

        assert because in said(*places.both(3, at, struct.pack("<H", flags)))

    def test_what_changes_nothing(self, said, places, ntfs):
        at = places.attributes[3, Kind.VOLUME_INFORMATION] + 24 + 10

        assert said(*places.both(3, at, b"\x08\x80")) == ntfs(KIND).honest

    def test_a_version_that_is_not_known(self, said, places):
        at = places.attributes[3, Kind.VOLUME_INFORMATION] + 24 + 8

        assert "version 4.0 is not known" in said(*places.both(3, at, b"\x04\x00"))

    def test_one_of_two_equal_records_changed(self, said, places):
        """The dirty flag alone, not in the mirror."""
        at = places.attributes[3, Kind.VOLUME_INFORMATION] + 24 + 10

        assert said((at, b"\x01\x00")) == "record 3 of the file table differs from its mirror"


def restart_page(lsn, client, flags, version=(1, 1), size=PAGE):
    """As Windows writes it: Linux fs/ntfs3/fslog.c."""
    page = bytearray(size)
    count = size // 512 + 1
    area = 30 + 2 * count + 7 & ~7
    struct.pack_into("<4sHHQIIHhh", page, 0, b"RSTR", 30, count, 0, size, size, area, version[1], version[0])
    struct.pack_into("<QHHHH", page, area, lsn, 1, 0xFFFF, client, flags)
    for number in range(1, count):
        struct.pack_into("<H", page, 30 + 2 * number, 0)
        struct.pack_into("<H", page, number * 512 - 2, 7)
    struct.pack_into("<H", page, 30, 7)
    return bytes(page)


class TestLog:
    CLOSED, OPEN = (0xFFFF, 0), (0, 0)

    @pytest.fixture
    def with_log(self, said, places):
        return lambda first, second: said((places.log, first + second))

    @pytest.mark.parametrize("closed", [(0xFFFF, 0), (0, 2), (0xFFFF, 2)])
    def test_a_log_that_was_closed(self, with_log, ntfs, closed):
        assert with_log(restart_page(8, *closed), restart_page(9, *closed)) == ntfs(KIND).honest

    @pytest.mark.parametrize(("first", "second"), [(8, 9), (9, 8)])
    def test_the_newer_page_counts(self, with_log, ntfs, first, second):
        older_is_open = [restart_page(lsn, *(self.CLOSED if lsn == 9 else self.OPEN)) for lsn in (first, second)]
        newer_is_open = [restart_page(lsn, *(self.OPEN if lsn == 9 else self.CLOSED)) for lsn in (first, second)]

        assert with_log(*older_is_open) == ntfs(KIND).honest
        assert "log must be replayed" in with_log(*newer_is_open)

    def test_pages_of_another_size(self, with_log, ntfs):
        pages = [restart_page(lsn, *self.CLOSED, size=16384) for lsn in (1, 2)]

        assert with_log(*pages) == ntfs(KIND).honest

    def test_fast_startup(self, with_log):
        pages = [restart_page(lsn, *self.CLOSED, version=(2, 0)) for lsn in (1, 2)]

        assert "fast startup" in with_log(*pages)

    @pytest.mark.parametrize("version", [(0, 0), (1, 0), (2, 1), (-1, -1)])
    def test_versions_that_are_not_known(self, with_log, version):
        pages = [restart_page(lsn, *self.CLOSED, version=version) for lsn in (1, 2)]

        assert "is not known" in with_log(*pages)

    @pytest.mark.parametrize("end", [510, 1022, PAGE - 2, PAGE + 510])
    def test_a_page_that_was_not_written_whole(self, said, places, end):
        pages = restart_page(1, *self.CLOSED) + restart_page(2, *self.CLOSED)

        assert "not written whole" in said((places.log, pages), (places.log + end, b"??"))

    @pytest.mark.parametrize("magic", [b"CHKD", b"BAAD", b"RCRD", bytes(4)])
    def test_another_page_instead(self, with_log, magic):
        good = restart_page(1, *self.CLOSED)

        assert isinstance(with_log(magic + good[4:], good), str)
        assert isinstance(with_log(good, magic + good[4:]), str)

    @pytest.mark.parametrize("size", [0, 1, 256, 5000, 1 << 31])
    def test_pages_of_no_size(self, with_log, size):
        page = bytearray(restart_page(1, *self.CLOSED))
        struct.pack_into("<I", page, 16, size)

        assert isinstance(with_log(bytes(page), bytes(page)), str)

    def test_an_area_outside_its_page(self, with_log):
        page = bytearray(restart_page(1, *self.CLOSED))
        struct.pack_into("<H", page, 24, 0xFFF8)

        assert "cut off" in with_log(bytes(page), bytes(page))

    def test_a_log_that_is_empty_but_for_a_byte(self, said, places):
        assert "not all of it" in said((places.log + places.log_size - 5, b"\0"))


class TestAsleep:
    @pytest.fixture
    def header(self, ntfs):
        """Where what hiberfil.sys begins with lies."""
        return ntfs("asleep").path.read_bytes().index(b"HIBRwhat it holds")

    def test_ntfs_3g_sees_it_too(self, ntfs):
        assert subprocess.run(["ntfs-3g.probe", "--readwrite", ntfs("asleep").path]).returncode == 14

    def test_a_hibernated_system(self, said):
        assert "hibernated" in said(kind="asleep")

    def test_however_its_name_is_written(self, said, ntfs):
        data, name = ntfs("asleep").path.read_bytes(), "hiberfil.sys".encode("utf-16-le")
        places = [found.start() for found in re.finditer(re.escape(name), data)]

        assert len(places) >= 2
        assert "hibernated" in said(*((at, b"H") for at in places), kind="asleep")

    @pytest.mark.parametrize("magic", [b"hibr", b"RSTR", b"\0\0\0\0"])
    def test_whatever_else_it_holds(self, said, header, magic):
        assert "hibernated" in said((header, magic), kind="asleep")

    def test_a_system_that_woke_up(self, said, header):
        assert isinstance(said((header, b"WAKE"), kind="asleep"), Extents)

    def test_an_empty_one(self, said, header):
        assert isinstance(said((header, bytes(8192)), kind="asleep"), Extents)


class TestShadowCopies:
    HEADER = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")

    def test_a_volume_with_shadow_copies(self, said):
        assert "shadow copies" in said((0x1E00, self.HEADER + bytes(32) + struct.pack("<Q", 0x40000)))

    def test_one_that_has_none_any_more(self, said, ntfs):
        assert said((0x1E00, self.HEADER + bytes(40))) == ntfs(KIND).honest


class TestBitmap:
    def test_a_system_file_that_it_shows_as_free(self, said, places):
        byte, bit = divmod(places.boot.record["mft"], 8)
        with FileReader(places.path) as reader:
            was = reader.read(places.bitmap + byte, 1)[0]

        assert "system file's cluster" in said((places.bitmap + byte, bytes([was & ~(1 << bit)])))

    def test_a_file_that_it_shows_as_free_after_a_power_cut(self, said, places):
        """ntfs-3g writes in no order and leaves no mark: here the file's record was written, the bitmap was not."""
        with FileReader(places.path) as reader:
            table = FileTable(reader, places.boot)
            clusters = next(found for found in map(self.last_clusters(table), range(64, table.records)) if found)
            byte, bit = divmod(clusters[-1], 8)
            was = reader.read(places.bitmap + byte, 1)[0]
            assert was >> bit & 1

        assert "a file's cluster" in said((places.bitmap + byte, bytes([was & ~(1 << bit)])))

    def last_clusters(self, table):
        """For the number of a record: the last cluster of each of its runs; none where it is not in use."""

        def found(number):
            raw = table.bytes_of(number, 1)
            rows = table.runs_in(table.record(number)) if raw[0x16] & 1 else []
            return [at + length - 1 for _, at, length in rows if at >= 0]

        return found

    @pytest.mark.parametrize("most", ["_MOST_RECORDS", "_MOST_RUNS"])
    def test_more_than_is_asked(self, said, monkeypatch, most):
        monkeypatch.setattr(f"holdstill_filesystems.ntfs.witnesses.{most}", 5)

        assert "too many to ask" in said()

    @pytest.mark.parametrize("flags", [0x0001, 0x4000, 0x8000])
    def test_one_that_is_packed_encrypted_or_sparse(self, said, places, flags):
        assert "sparse" in said((places.attributes[6, Kind.DATA] + 12, struct.pack("<H", flags)))

    @pytest.mark.parametrize("size", [0, 1023, -1, 1 << 62])
    def test_one_that_is_too_short(self, said, places, size):
        at = places.attributes[6, Kind.DATA] + 0x38

        assert isinstance(said((at, struct.pack("<q", size))), str)


def test_every_second_cluster(new_ntfs):
    """Four million runs, no more than a million at a time."""
    image = new_ntfs(32 << 30, "-Q -c 4096")
    at = Places(image.path).bitmap
    with image.path.open("r+b") as file:
        file.seek(at)
        bits = np.frombuffer(file.read(1 << 20), dtype=np.uint8)
        file.seek(at)
        file.write((bits | 0x55).tobytes())

    with FileReader(image.path) as reader:
        facts = plugin.recognise(reader)
        lengths = [len(window) for window in plugin.enumerate_used_blocks(reader, facts).windows]

    assert max(lengths) <= 1 << 20
    assert sum(lengths) > 4_100_000
