"""A regular file as a volume: read, written, kept sparse, and watched."""

import errno
import mmap
import os
import random
import resource
import time

import pytest

from holdstill.errors import (
    ReadFault,
    RestoreRefused,
    VolumeDenied,
    VolumeMissing,
    VolumeUnusable,
    WriteFault,
)
from holdstill.model.extents import Extents
from holdstill.model.volume import VolumeKind
from holdstill.pipeline import plainfile
from holdstill.pipeline.plainreader import PlainFileReader
from holdstill_testing import torture
from holdstill_testing.suites.reader import ReaderSuite

MIB = 1 << 20


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "volume"
    made.write_bytes(bytes(range(1, 251)) * 400)
    return made


@pytest.fixture
def shortest_files():
    """Files may have 64 KiB at most, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    yield 65536
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestReader(ReaderSuite):
    @pytest.fixture
    def reader(self, path):
        with PlainFileReader(str(path)) as opened:
            yield opened

    @pytest.fixture
    def truth(self, path):
        return path.read_bytes()

    @pytest.fixture
    def change(self, path):
        def write(offset, content):
            with path.open("r+b") as file:
                file.seek(offset)
                file.write(content)

        return write


class TestReaderWithoutPreadv(TestReader):
    @pytest.fixture(autouse=True)
    def older_system(self, monkeypatch):
        monkeypatch.delattr(os, "preadv")
        monkeypatch.delattr(os, "posix_fadvise")
        monkeypatch.delattr(os, "SEEK_DATA")


# --- identify ------------------------------------------------------------------------------------


def test_identify(path):
    link = path.parent / "link"
    link.symlink_to(path)
    facts = plainfile.identify(str(link)).facts
    assert (facts.path, facts.device, facts.identity) == (str(link), str(path), str(path))
    assert (facts.kind, facts.size, facts.filesystem, facts.in_use) == (VolumeKind.FILE, 100_000, None, False)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, error, said in (
        (tmp_path / "none", VolumeMissing, "no such file"),
        (tmp_path / "pipe" / "below", VolumeMissing, "no such file"),
        (tmp_path, VolumeUnusable, "a directory"),
        ("/dev/null", VolumeUnusable, "a character device"),
        (tmp_path / "pipe", VolumeUnusable, "neither a file nor"),
        ("a\0b", VolumeUnusable, "null"),
        ("x" * 5000, VolumeUnusable, "too long"),
    ):
        with pytest.raises(error, match=said) as caught:
            plainfile.identify(str(path))
        assert caught.value.subject == str(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_what_may_not_be_read(path):
    path.chmod(0o600)
    path.parent.chmod(0o700)
    volume = plainfile.identify(str(path))
    os.seteuid(65534)
    try:
        with pytest.raises(VolumeDenied):
            plainfile.identify(str(path))
        for way in (lambda: volume.open_reader(exclusive=True), volume.open_writer):
            with pytest.raises(VolumeDenied):
                way()
    finally:
        os.seteuid(0)


# --- changes -------------------------------------------------------------------------------------


def touch_back(path):
    """Write, then set the time of the last write back to what it was."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def write_by_map(path):
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        shared[5] = 77


def write_one_byte(path):
    with path.open("r+b") as file:
        file.write(b"x")


def replace_whole(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


CHANGES = {
    "one byte": write_one_byte,
    "longer": lambda path: os.truncate(path, 200_000),
    "shorter": lambda path: os.truncate(path, 10),
    "removed": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_name("elsewhere")),
    "replaced": replace_whole,
    "time set back": touch_back,
    "memory map": write_by_map,
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_is_noticed_and_told(path, how):
    volume = plainfile.identify(str(path))
    with volume.open_reader(exclusive=True) as reader:
        reader.read(0, reader.size)
        assert reader.changed() is None
        CHANGES[how](path)
        assert str(path) in reader.changed()


def test_a_change_in_the_same_tick_of_the_clock_is_noticed(path):
    """A write just before the file is opened, and one just after: one time stamp may serve for both."""
    for _ in range(torture.rounds(300)):
        write_one_byte(path)
        with plainfile.identify(str(path)).open_reader(exclusive=True) as reader:
            write_one_byte(path)
            assert reader.changed() is not None


def test_a_store_through_a_map_that_was_dirty_before_is_noticed(path):
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        shared[5] = 77
        with plainfile.identify(str(path)).open_reader(exclusive=True) as reader:
            reader.read(0, 10)
            shared[6] = 78
            assert reader.changed() is not None


def test_a_time_stamp_in_the_future_does_not_delay(path):
    ahead = time.time_ns() + 10**15
    os.utime(path, ns=(ahead, ahead))
    with plainfile.identify(str(path)).open_reader(exclusive=True) as reader:
        assert reader.changed() is None


def test_a_file_that_became_shorter_is_a_fault_not_an_end(path):
    with PlainFileReader(str(path)) as reader:
        os.truncate(path, 50_000)
        with pytest.raises(ReadFault, match="became shorter") as caught:
            reader.read(40_000, 20_000)
        assert (caught.value.offset, caught.value.length) == (50_000, 10_000)


def test_a_read_error_is_a_fault(path):
    with PlainFileReader(str(path)) as reader:
        write_only = os.open(path, os.O_WRONLY)
        os.dup2(write_only, reader._fd)
        os.close(write_only)
        with pytest.raises(ReadFault, match="10 bytes at 5 cannot be read: Bad file descriptor"):
            reader.read(5, 10)


# --- holes, writing ------------------------------------------------------------------------------


def test_holes_are_what_has_no_data(tmp_path):
    volume = plainfile.create_file(str(tmp_path / "new"), 8 * MIB)
    with volume.open_writer() as writer:
        writer.write(3 * MIB, b"x" * MIB)
        writer.flush()
    with volume.open_reader(exclusive=False) as reader:
        assert reader.holes(0, 8 * MIB) == Extents.of((0, 3 * MIB), (4 * MIB, 4 * MIB))
        assert reader.holes(2 * MIB, 5 * MIB + 1) == Extents.of((2 * MIB, MIB), (4 * MIB, MIB + 1))
        assert reader.holes(3 * MIB, 4 * MIB) == Extents.none()
        assert reader.holes(8 * MIB, 9 * MIB) == Extents.none()


def no_such_seek(*_):
    raise OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.parametrize("systems", ["with holes", "without", "file system cannot say"])
def test_writing_against_a_plain_bytearray(tmp_path, monkeypatch, systems):
    if systems == "without":
        monkeypatch.delattr(os, "SEEK_DATA")
    if systems == "file system cannot say":
        monkeypatch.setattr(os, "lseek", no_such_seek)
    size = 3 * MIB + 17
    dice = torture.dice(f"plain file {systems}")
    volume = plainfile.create_file(str(tmp_path / "new"), size)
    truth = bytearray(size)
    with volume.open_writer() as writer:
        for _ in range(torture.rounds(300)):
            offset = dice.randrange(size)
            length = dice.randint(0, min(size - offset, dice.choice((100, 10_000, 2 * MIB))))
            content = dice.choice((None, random.Random(offset).randbytes(length)))
            if content is None:
                writer.zero(offset, length)
                truth[offset : offset + length] = bytes(length)
            else:
                writer.write(offset, memoryview(content))
                truth[offset : offset + length] = content
        with writer.reader() as stored:
            assert stored.read(0, size) == truth


def test_zeroing_what_is_a_hole_keeps_it_one(tmp_path):
    volume = plainfile.create_file(str(tmp_path / "new"), 64 * MIB)
    with volume.open_writer() as writer:
        writer.write(MIB, b"x")
        writer.zero(0, 64 * MIB)
        writer.flush()
    status = (tmp_path / "new").stat()
    assert status.st_blocks * 512 < MIB
    assert (tmp_path / "new").read_bytes() == bytes(64 * MIB)


def test_nothing_outside_the_volume_is_written(path):
    with plainfile.identify(str(path)).open_writer() as writer:
        for offset, length in ((-1, 2), (99_999, 2), (0, 100_001)):
            with pytest.raises(ValueError, match="outside the volume"):
                writer.write(offset, bytes(length))
            with pytest.raises(ValueError, match="outside the volume"):
                writer.zero(offset, length)
        writer.close()
        writer.close()
        with pytest.raises(ValueError, match="closed"):
            writer.write(0, b"x")
    assert path.read_bytes() == bytes(range(1, 251)) * 400


def test_a_full_disk_is_a_fault(path, shortest_files):
    with plainfile.identify(str(path)).open_writer() as writer:
        writer.write(0, b"fits")
        with pytest.raises(WriteFault, match=r"bytes at 65536 cannot be written: File too large"):
            writer.write(65_000, bytes(2000))


def test_a_failed_flush_is_final(path):
    writer = plainfile.identify(str(path)).open_writer()
    good = os.dup(writer._fd)
    pipe = os.pipe()
    os.dup2(pipe[0], writer._fd)
    with pytest.raises(WriteFault, match="did not reach stable storage"):
        writer.flush()
    os.dup2(good, writer._fd)
    for _ in range(2):
        with pytest.raises(WriteFault, match="did not reach stable storage"):
            writer.flush()
    with pytest.raises(WriteFault):
        writer.reader()
    writer.close()
    for fd in (good, *pipe):
        os.close(fd)


# --- new files -----------------------------------------------------------------------------------


def test_a_new_file_is_sparse_and_private(tmp_path):
    volume = plainfile.create_file(str(tmp_path / "new"), 1 << 40)
    status = (tmp_path / "new").stat()
    assert (volume.facts.size, status.st_size, status.st_blocks) == (1 << 40, 1 << 40, 0)
    assert status.st_mode & 0o777 == 0o600


def test_an_old_file_is_refused(path):
    with pytest.raises(RestoreRefused, match="there is a file already"):
        plainfile.create_file(str(path), 10)
    assert path.stat().st_size == 100_000


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path, shortest_files):
    with pytest.raises(WriteFault, match="a file of 65537 bytes cannot be made"):
        plainfile.create_file(str(tmp_path / "new"), shortest_files + 1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VolumeMissing):
        plainfile.create_file(str(tmp_path / "none" / "new"), 1)


def test_what_is_behind_the_end_is_no_hole(tmp_path):
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(100_000))
    with PlainFileReader(str(path)) as reader:
        os.truncate(path, 10_000)
        assert reader.holes(0, 100_000).end <= 10_000
        assert not reader.holes(20_000, 100_000)
