"""Writing devices and files: against a plain model, in threads, and where there is no room or no way."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holdstill.errors import VolumeBusy, VolumeDenied, WriteFault
from holdstill_platforms.linux import ioctls, libc
from holdstill_platforms.linux.channel import Channel
from holdstill_platforms.linux.identify import identify
from holdstill_testing.suites.base import together
from holdstill_testing.torture import dice, rounds

MIB = 1 << 20


class Target:
    """A writer, and the file whose bytes are what it has written, found by another road."""

    def __init__(self, writer, stored: Path) -> None:
        self.writer = writer
        self.stored = stored

    def content(self) -> bytes:
        self.writer.flush()
        return self.stored.read_bytes()


@pytest.fixture
def refuse(monkeypatch):
    """The kernel has no way to do this."""

    def refuse(module, name: str) -> None:
        def refused(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

        monkeypatch.setattr(module, name, refused)

    return refuse


ROADS = (
    "file",
    "file-without-punching",
    pytest.param("device", marks=pytest.mark.root),
    pytest.param("device-of-large-sectors", marks=pytest.mark.root),
    pytest.param("device-without-punching", marks=pytest.mark.root),
    pytest.param("device-without-any-zeroing", marks=pytest.mark.root),
    pytest.param("device-without-direct-access", marks=pytest.mark.root),
)


@pytest.fixture(params=ROADS)
def target(request, noisy, attach, refuse) -> Iterator[Target]:
    road = request.param
    image = noisy(300_001 if road.startswith("file") else 64 * 4096 + (0 if "large" in road else 512))
    volume = str(image)
    if road.startswith("device"):
        volume = attach(image, *(("--sector-size", "4096") if "large" in road else ()))
    if "without-punching" in road or "without-any" in road:
        refuse(libc, "punch_hole")
    if "without-any" in road:
        refuse(ioctls, "zero_out")
    with identify(volume).open_writer() as writer:
        if "without-direct" in road:
            writer._channel._give_up_direct()
        yield Target(writer, image)


def test_writes_and_zeros_are_what_a_model_says(target) -> None:
    chance = dice("writes")
    model = bytearray(target.stored.read_bytes())
    for _ in range(rounds(1000)):
        offset = chance.choice((chance.randrange(len(model)), chance.randrange(len(model)) // 512 * 512))
        length = min(chance.choice((1, 511, 512, 4096, 5000, 70_000)), len(model) - offset)
        if chance.random() < 0.5:
            data = chance.randbytes(length)
            target.writer.write(offset, data)
            model[offset : offset + length] = data
        else:
            target.writer.zero(offset, length)
            model[offset : offset + length] = bytes(length)

    assert target.content() == model
    with target.writer.reader() as reader:
        assert reader.size == target.writer.size == len(model)
        assert reader.read(0, reader.size) == model


def test_neighbours_in_one_sector_do_not_disturb_each_other(target) -> None:
    size = target.writer.size
    truth = dice("neighbours").randbytes(size)

    def every_third(mine: int):
        def write() -> None:
            for number, at in enumerate(range(0, size, 777)):
                if number % 3 == mine:
                    target.writer.write(at, memoryview(truth)[at : at + 777])

        return write

    together(*(every_third(mine) for mine in range(3)))

    assert target.content() == truth


def test_aligned_memory_of_any_kind(target) -> None:
    room = mmap.mmap(-1, 8192)
    room[:] = b"m" * 8192
    target.writer.write(8192, memoryview(room))
    target.writer.write(16384, memoryview(np.full(1024, 0x61626364, "<u4")))

    content = target.content()
    assert content[8192:20480] == b"m" * 8192 + b"dcba" * 1024


def test_outside_is_a_value_error_and_nothing_is_written(target) -> None:
    before = target.content()
    size = target.writer.size
    for offset, length in ((size, 1), (size - 1, 2), (-1, 1), (-4096, 8192)):
        with pytest.raises(ValueError, match="not inside"):
            target.writer.write(offset, b"x" * length)
        with pytest.raises(ValueError, match="not inside"):
            target.writer.zero(offset, length)
    target.writer.write(size, b"")
    target.writer.zero(size, 0)

    assert target.content() == before


def test_closed_is_closed(target) -> None:
    target.writer.close()
    target.writer.close()
    for attempt in (lambda: target.writer.write(0, b"x"), lambda: target.writer.zero(0, 1), target.writer.flush):
        with pytest.raises(ValueError, match="closed"):
            attempt()


# --- sparse --------------------------------------------------------------------------------------


def test_a_new_file_stays_sparse(tmp_path: Path) -> None:
    image = tmp_path / "new"
    os.close(os.open(image, os.O_CREAT | os.O_WRONLY, 0o600))
    os.truncate(image, 1 << 30)
    with identify(str(image)).open_writer() as writer:
        writer.zero(0, 1 << 30)
        writer.write(512 * MIB, b"x" * 8192)
        writer.zero(512 * MIB + 4096, 4096)
        writer.flush()

    assert image.stat().st_blocks * 512 <= 64 << 10
    assert image.stat().st_size == 1 << 30


def test_holes_stay_holes_where_nothing_can_be_punched(tmp_path: Path, refuse) -> None:
    refuse(libc, "punch_hole")
    image = tmp_path / "new"
    with image.open("wb") as file:
        file.write(b"x" * MIB)
        file.truncate(64 * MIB)
    with identify(str(image)).open_writer() as writer:
        writer.zero(100, 64 * MIB - 100)
        writer.flush()

    assert image.stat().st_blocks * 512 <= MIB + (64 << 10)
    assert image.read_bytes()[: 2 * MIB] == b"x" * 100 + bytes(2 * MIB - 100)


@pytest.mark.root
def test_zeroing_a_device_gives_back_what_it_stands_on(noisy, attach) -> None:
    image = noisy(8 * MIB)
    with identify(attach(image)).open_writer() as writer:
        writer.zero(0, 8 * MIB)
        writer.flush()

    assert image.read_bytes() == bytes(8 * MIB)
    assert image.stat().st_blocks * 512 <= 64 << 10


@pytest.mark.root
def test_the_kernels_zeros_are_zeros(noisy, attach, monkeypatch) -> None:
    image = noisy(4 * MIB)
    monkeypatch.setattr(ioctls, "ZERO_STEP", 64 << 10)
    with open(attach(image), "r+b") as device:
        ioctls.zero_out(device.fileno(), MIB, MIB + 512)
        os.fsync(device.fileno())

    content = image.read_bytes()
    assert content[MIB : 2 * MIB + 512] == bytes(MIB + 512)
    assert b"\0" not in content[:MIB] + content[2 * MIB + 512 :]


def test_a_large_file_leaves_the_page_cache_as_it_goes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("holdstill_platforms.linux.writers.PUSH_OUT", MIB)
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *told: asked.append(told))
    image = tmp_path / "large"
    with image.open("wb") as file:
        file.truncate(8 * MIB)
    with identify(str(image)).open_writer() as writer:
        for at in range(0, 4 * MIB, 256 << 10):
            writer.write(at, bytes(256 << 10))

    assert len(asked) == 4
    assert all(told[1:] == (0, 0, os.POSIX_FADV_DONTNEED) for told in asked)


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.root
def test_no_room_for_a_file(mount) -> None:
    image = Path(mount("tmpfs", "small", "-t", "tmpfs", "-o", "size=1m")) / "image"
    with image.open("wb") as file:
        file.truncate(4 * MIB)
    with identify(str(image)).open_writer() as writer, pytest.raises(WriteFault, match="no space is left") as told:
        writer.write(0, b"x" * 4 * MIB)
    assert told.value.subject == str(image)
    assert "room" in told.value.next_step


@pytest.mark.root
def test_no_room_under_a_device(mount, attach) -> None:
    image = Path(mount("tmpfs", "small", "-t", "tmpfs", "-o", "size=1m")) / "image"
    with image.open("wb") as file:
        file.truncate(4 * MIB)
    with identify(attach(image)).open_writer() as writer, pytest.raises(WriteFault):
        writer.write(0, b"x" * 4 * MIB)


@pytest.mark.root
def test_a_lost_write_is_told_by_every_flush(mount, attach) -> None:
    small = mount("tmpfs", "small", "-t", "tmpfs", "-o", "size=3m")
    lower = Path(small) / "image"
    with lower.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(("mkfs.ext4", "-q", "-O", "^has_journal", str(lower)), check=True)
    upper = Path(mount(attach(lower), "upper")) / "file"
    with upper.open("wb") as file:
        file.truncate(16 * MIB)
    with identify(str(upper)).open_writer() as writer:
        writer.write(0, b"x" * 16 * MIB)
        with pytest.raises(WriteFault, match="not on stable storage"):
            writer.flush()
        subprocess.run(("mount", "-o", "remount,size=64m", small), check=True)
        with pytest.raises(WriteFault, match="not on stable storage"):
            writer.flush()


@pytest.mark.root
def test_a_read_only_device(noisy, attach) -> None:
    device = attach(noisy(MIB), "--read-only")

    with pytest.raises(VolumeDenied, match="read-only"):
        identify(device).open_writer()
    identify(device).open_reader(exclusive=True).close()


@pytest.mark.root
def test_a_read_only_file_system(ext4, mount) -> None:
    _, device = ext4()
    point = Path(mount(device, "m"))
    (point / "image").write_bytes(b"x" * 4096)
    subprocess.run(("mount", "-o", "remount,ro", str(point)), check=True)

    with pytest.raises(VolumeDenied, match="read-only"):
        identify(str(point / "image")).open_writer()


@pytest.mark.root
def test_what_is_in_use_is_not_written(ext4, mount) -> None:
    image, device = ext4()
    with pytest.raises(VolumeBusy, match=Path(device).name):
        identify(str(image)).open_writer()
    point = mount(device, "m")
    for path in (device, str(image), point):
        with pytest.raises(VolumeBusy, match=f"mounted on {point}") as told:
            identify(path).open_writer()
        assert "--unmount" in told.value.next_step


@pytest.mark.root
def test_nobody_mounts_a_device_that_is_written(ext4, mount) -> None:
    _, device = ext4()
    with identify(device).open_writer(), pytest.raises(AssertionError, match=r"busy|already mounted"):
        mount(device, "m")


def test_two_writers_of_one_file(noisy) -> None:
    volume = identify(str(noisy(4096)))
    with volume.open_writer(), pytest.raises(VolumeBusy, match="locked"):
        volume.open_writer()
    volume.open_writer().close()


@pytest.mark.root
def test_a_file_that_a_process_writes_to(noisy, undo) -> None:
    image = noisy(4096)
    with subprocess.Popen(("sh", "-c", f"exec 7>>{image}; echo open; exec sleep 300"), stdout=-1) as holder:
        undo.callback(holder.kill)
        holder.stdout.readline()
        with pytest.raises(VolumeBusy, match=rf"sleep \(process {holder.pid}, for writing\)"):
            identify(str(image)).open_writer()
        holder.kill()


def test_large_pieces_of_a_file_go_past_the_cache(tmp_path, monkeypatch) -> None:
    """And what a file system refuses to take so, the cache takes."""
    image = tmp_path / "image"
    image.write_bytes(bytes(4 << 20))
    data, asked, real = dice("large").randbytes(1 << 20), [], Channel.write_direct
    room = memoryview(mmap.mmap(-1, 1 << 20))
    room[:] = data

    def write_direct(self, offset, content):
        asked.append((offset, len(content), real(self, offset, content)))
        return asked[-1][2]

    monkeypatch.setattr(Channel, "write_direct", write_direct)
    with identify(str(image)).open_writer() as writer:
        writer.write(1 << 20, room)
        writer.write(5, room[: 300 << 10])
        writer.write(3 << 20, room[:4096])
        writer.flush()
        stored = image.read_bytes()
    assert stored[1 << 20 : 2 << 20] == data
    assert stored[5 : 5 + (300 << 10)] == data[: 300 << 10]
    assert stored[3 << 20 : (3 << 20) + 4096] == data[:4096]
    assert [where[:2] for where in asked] == [(1 << 20, 1 << 20), (5, 300 << 10)]
    assert not asked[1][2], "it is not aligned"


def test_a_refused_direct_write_goes_through_the_cache(tmp_path, monkeypatch) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 20))

    def refused(self, offset, content):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(Channel, "write_direct", refused)
    with identify(str(image)).open_writer() as writer:
        writer.write(0, b"x" * (1 << 20))
        writer.flush()
    assert image.read_bytes() == b"x" * (1 << 20)
