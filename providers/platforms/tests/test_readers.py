"""Reading devices and files: the published suite over every road, and what only real devices can show."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holdstill.errors import ReadFault, VolumeBusy, VolumeChanged, VolumeUnusable
from holdstill.model.extents import Extents
from holdstill_platforms.linux import libc
from holdstill_platforms.linux.channel import Channel
from holdstill_platforms.linux.identify import identify
from holdstill_testing.suites.reader import ReaderSuite
from holdstill_testing.torture import dice

MIB = 1 << 20


def changer(path: str):
    def change(offset: int, data: bytes) -> None:
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    return change


def forget(path) -> None:
    """Have the file or device written out and dropped from the page cache."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def tells_what_is_cached() -> bool:
    """Does this kernel have cachestat(2)?"""
    fd = os.open(__file__, os.O_RDONLY)
    try:
        return libc.cached_pages(fd, 0, 1) >= 0
    except OSError:
        return False
    finally:
        os.close(fd)


@pytest.fixture
def resident():
    """How many pages of a range of a file or device are in the page cache."""
    libc = ctypes.CDLL(None, use_errno=True)

    def resident(path: str, length: int) -> int:
        fd = os.open(path, os.O_RDONLY)
        with mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
            os.close(fd)
            view = np.frombuffer(mapped, np.uint8)
            flags = np.zeros(length // mmap.PAGESIZE, np.uint8)
            assert libc.mincore(ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(length), flags.ctypes) == 0
            del view
        return int((flags & 1).sum())

    return resident


class TestFile(ReaderSuite):
    """A file that ends inside a unit."""

    size = 300_001

    @pytest.fixture
    def image(self, noisy) -> Path:
        return noisy(self.size)

    @pytest.fixture
    def truth(self, image) -> bytes:
        return image.read_bytes()

    @pytest.fixture
    def reader(self, image) -> Iterator:
        with identify(str(image)).open_reader(exclusive=False) as reader:
            yield reader

    @pytest.fixture
    def change(self, image):
        return changer(str(image))


class TestExclusiveFile(TestFile):
    @pytest.fixture
    def reader(self, image) -> Iterator:
        with identify(str(image)).open_reader(exclusive=True) as reader:
            yield reader

    @pytest.fixture
    def change(self) -> None:
        pytest.skip("the lease keeps others from writing: test_lease.py")


class TestFileWithoutDirectAccess(TestFile):
    @pytest.fixture
    def reader(self, image) -> Iterator:
        with identify(str(image)).open_reader(exclusive=False) as reader:
            reader._channel._give_up_direct()
            yield reader


@pytest.mark.root
class TestDevice(ReaderSuite):
    """A device of an odd number of sectors, so that its end is no multiple of a page."""

    size = 64 * 4096 + 3 * 512

    @pytest.fixture
    def device(self, noisy, attach) -> str:
        return attach(noisy(self.size))

    @pytest.fixture
    def truth(self, device, tmp_path) -> bytes:
        return (tmp_path / "image").read_bytes()

    @pytest.fixture
    def reader(self, device) -> Iterator:
        with identify(device).open_reader(exclusive=False) as reader:
            yield reader

    @pytest.fixture
    def change(self, device):
        return changer(device)

    @pytest.fixture
    def faulty(self, noisy, attach) -> Iterator:
        """A loop device whose file lost its end: the kernel answers EIO there."""
        image = noisy(2 * MIB, "cut")
        with identify(attach(image)).open_reader(exclusive=False) as reader:
            os.truncate(image, MIB + 4096)
            yield reader, MIB + 4096, MIB - 4096


@pytest.mark.root
class TestExclusiveDevice(TestDevice):
    @pytest.fixture
    def reader(self, device) -> Iterator:
        with identify(device).open_reader(exclusive=True) as reader:
            yield reader


@pytest.mark.root
class TestDeviceWithoutDirectAccess(TestDevice):
    @pytest.fixture
    def reader(self, device) -> Iterator:
        with identify(device).open_reader(exclusive=False) as reader:
            reader._channel._give_up_direct()
            yield reader


@pytest.mark.root
class TestDeviceOfLargeSectors(TestDevice):
    size = 65 * 4096

    @pytest.fixture
    def device(self, noisy, attach) -> str:
        return attach(noisy(self.size), "--sector-size", "4096")


def test_aligned_reads_go_straight_into_the_callers_memory(noisy, monkeypatch) -> None:
    image = noisy(MIB)
    room = mmap.mmap(-1, 8192)
    forget(image)
    with identify(str(image)).open_reader(exclusive=False) as reader:
        monkeypatch.setattr("holdstill_platforms.linux.channel._bounce", None)
        reader.readinto(4096, memoryview(room))
        with pytest.raises(TypeError):
            reader.readinto(4097, memoryview(room))
    assert room[:] == image.read_bytes()[4096 : 4096 + 8192]


@pytest.mark.root
def test_a_mounted_device_is_read_as_it_is_now(ext4, mount) -> None:
    _, device = ext4()
    file = Path(mount(device, "m")) / "file"
    marks = [dice(f"mark {number}").randbytes(64) * 64 for number in range(2)]
    write_through(file, marks[0])
    at = Path(device).read_bytes().index(marks[0])

    write_through(file, marks[1])

    with open(device, "rb") as cached:
        cached.seek(at)
        assert cached.read(4096) == marks[0], "the page cache of the device was expected to be stale"
    volume = identify(device)
    with volume.open_reader(exclusive=False) as reader:
        assert reader.read(at, 4096) == marks[1]
    with volume.open_reader(exclusive=False) as reader:
        reader._channel._give_up_direct()
        assert reader.read(at, 4096) == marks[1]


def write_through(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, data, 0)
    os.fsync(fd)
    os.close(fd)
    os.sync()


def test_what_is_cached_is_not_read_from_the_disk(noisy, monkeypatch, resident) -> None:
    image = noisy(2 * MIB)
    data = image.read_bytes()
    forget(image)
    with open(image, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert os.pread(file.fileno(), MIB, 0) == data[:MIB]
    asked, real = [], Channel.readinto

    def readinto(self, offset, room):
        asked.append((offset, len(room)))
        real(self, offset, room)

    monkeypatch.setattr(Channel, "readinto", readinto)
    before = resident(str(image), 2 * MIB)
    with identify(str(image)).open_reader(exclusive=False) as reader:
        for offset, length in ((0, MIB), (5, 70_000), (MIB, MIB), (MIB - 4096, 8192)):
            assert reader.read(offset, length) == data[offset : offset + length]
    uncached = [(MIB, MIB), (MIB - 4096, 8192)]
    assert asked == (uncached if tells_what_is_cached() else [(0, MIB), (5, 70_000), *uncached])
    assert resident(str(image), 2 * MIB) <= before


def test_a_proof_reads_what_is_stored(noisy, monkeypatch) -> None:
    image, asked, real = noisy(MIB), [], Channel.readinto

    def readinto(self, offset, room):
        asked.append((offset, len(room)))
        real(self, offset, room)

    with identify(str(image)).open_writer() as writer, writer.reader() as reader:
        monkeypatch.setattr(Channel, "readinto", readinto)
        reader.read(0, MIB)
    assert asked == [(0, MIB)]


@pytest.mark.root
def test_the_hosts_page_cache_stays_as_it_was(noisy, attach, resident) -> None:
    image = noisy(8 * MIB)
    device = attach(image, "--direct-io=on")
    for path in (device, str(image)):
        fd = os.open(path, os.O_RDONLY)
        forget(path)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(fd, MIB, 0)
        before = resident(path, 8 * MIB)
        assert 0 < before < 1024

        with identify(path).open_reader(exclusive=False) as reader:
            assert reader._channel.direct
            reader.read(0, 8 * MIB)
            assert resident(path, 8 * MIB) <= before

            reader._channel._give_up_direct()
            reader.read(4 * MIB + 1, 2 * MIB)
            assert resident(path, 8 * MIB) <= before + 2  # the two pages that are read in part
        os.close(fd)


@pytest.mark.root
def test_a_file_system_that_cannot_read_directly(ext4, mount) -> None:
    _, device = ext4()
    image = Path(mount(device, "m", "-o", "data=journal")) / "image"
    image.write_bytes(dice("journalled").randbytes(50_000))

    with identify(str(image)).open_reader(exclusive=False) as reader:
        assert not reader._channel.direct
        assert reader.read(1, 49_999) == image.read_bytes()[1:]


def test_a_file_that_shrinks_is_a_fault_and_not_an_end(noisy) -> None:
    image = noisy(MIB)
    with identify(str(image)).open_reader(exclusive=False) as reader:
        os.truncate(image, 10_000)
        for offset, length in ((0, MIB), (9_000, 2_000), (8192, 4096), (10_000, 1), (500_000, 100)):
            with pytest.raises(ReadFault) as told:
                reader.read(offset, length)
            assert (told.value.offset, told.value.length) == (offset, length)
        assert reader.read(0, 10_000) == image.read_bytes()
        assert reader.holes(0, MIB).end <= 10_000, "behind the end is no hole"
        assert not reader.holes(20_000, MIB)


def test_holes_of_a_sparse_file(tmp_path: Path) -> None:
    image = tmp_path / "sparse"
    with image.open("wb") as file:
        for at in (MIB, 3 * MIB):
            file.seek(at)
            file.write(b"x" * 4096)
        file.truncate(5 * MIB)
    with identify(str(image)).open_reader(exclusive=True) as reader:
        used = Extents.of((MIB, 4096), (3 * MIB, 4096))
        assert reader.holes(0, 5 * MIB) == used.complement(5 * MIB)
        assert reader.holes(MIB + 100, MIB + 200) == Extents.none()
        assert reader.holes(10, 20) == Extents.of((10, 10))
        assert reader.holes(3 * MIB + 5000, 5 * MIB) == Extents.of((3 * MIB + 5000, 2 * MIB - 5000))
        assert reader.holes(7, 7) == Extents.none()


# --- exclusive -----------------------------------------------------------------------------------


@pytest.mark.root
def test_nobody_mounts_a_device_that_is_read_exclusively(ext4, mount) -> None:
    _, device = ext4()
    with identify(device).open_reader(exclusive=True):
        with pytest.raises(AssertionError, match=r"busy|already mounted"):
            mount(device, "m")
        for attempt in (lambda: identify(device).open_reader(exclusive=True), identify(device).open_writer):
            with pytest.raises(VolumeBusy, match="exclusively"):
                attempt()
    identify(device).open_reader(exclusive=True).close()


@pytest.mark.root
def test_what_is_mounted_is_not_read_exclusively(ext4, mount) -> None:
    image, device = ext4()
    point = mount(device, "m")
    for path in (device, str(image), point):
        with pytest.raises(VolumeBusy, match=f"mounted on {point}") as told:
            identify(path).open_reader(exclusive=True)
        assert told.value.next_step
        identify(path).open_reader(exclusive=False).close()


@pytest.mark.root
def test_an_attached_file_is_not_read_exclusively(ext4) -> None:
    image, device = ext4()

    with pytest.raises(VolumeBusy, match=Path(device).name):
        identify(str(image)).open_reader(exclusive=True)


@pytest.mark.root
@pytest.mark.parametrize("sync", [True, False])
def test_a_write_to_the_device_itself_is_noticed(noisy, attach, sync: bool) -> None:
    device = attach(noisy(MIB))
    with identify(device).open_reader(exclusive=True) as reader:
        reader.read(0, MIB)
        assert reader.changed() is None
        with open(device, "r+b", buffering=0) as raw:
            raw.write(b"changed")
            if sync:
                os.fsync(raw.fileno())
        assert "wrote" in reader.changed()
        assert "wrote" in reader.changed()


@pytest.mark.root
def test_what_was_written_before_is_no_change(noisy, attach) -> None:
    device = attach(noisy(MIB))
    with open(device, "r+b", buffering=0) as raw:
        raw.write(b"changed")
        reopened = os.open(device, os.O_RDONLY)
    with identify(device).open_reader(exclusive=True) as reader:
        assert reader.read(0, 7) == b"changed"
        assert reader.changed() is None
    os.close(reopened)


@pytest.mark.root
def test_a_device_that_was_exchanged_meanwhile(noisy, tmp_path: Path, attach) -> None:
    link = tmp_path / "node"
    first, second = attach(noisy(MIB, "one")), attach(noisy(MIB, "two"))
    os.mknod(link, 0o060600, os.stat(first).st_rdev)
    volume = identify(str(link))
    link.unlink()
    os.mknod(link, 0o060600, os.stat(second).st_rdev)

    for exclusive in (True, False):
        with pytest.raises(VolumeUnusable, match="another volume"):
            volume.open_reader(exclusive=exclusive)


def test_a_change_is_no_error_of_reading() -> None:
    assert not issubclass(VolumeChanged, ReadFault)
