"""Thick snapshots of volumes in use, on real LVM."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from holdstill.errors import LeftHeld, NoProvider, VolumeChanged, VolumeUnusable
from holdstill.model.volume import Mode
from holdstill_testing.conversations import At


def write(path, mebibytes):
    """Durably."""
    with open(path, "wb", buffering=0) as file:
        file.writelines(os.urandom(1 << 20) for _ in range(mebibytes))
        os.fsync(file.fileno())


class Writer(threading.Thread):
    """Numbers its writes. Every one is durable before the next begins, so what was written is always a prefix."""

    def __init__(self, point):
        super().__init__(daemon=True)
        self.point = point
        self.written = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            with open(self.point / f"{self.written % 50}-{self.written % 3}", "wb", buffering=0) as file:
                file.write(b"%d\n" % self.written * 3000)
                os.fsync(file.fileno())
            with open(self.point / "last", "r+b" if self.written else "wb", buffering=0) as file:
                file.write(b"%020d" % self.written)
                os.fsync(file.fileno())
            self.written += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()


def check_prefix(point, before, after):
    """Write k is there whole, and so are all before it, as far as they were not written over."""
    last = int((Path(point) / "last").read_bytes())
    assert before - 1 <= last <= after
    for number in range(max(0, last - 40), last + 1):
        content = (Path(point) / f"{number % 50}-{number % 3}").read_bytes()
        first = int(content.split(b"\n", 1)[0])
        assert first in (number, number + 150) or (first == last + 1)
        assert first != number or content == b"%d\n" % number * 3000


CHECK = {"ext4": ("e2fsck", "-f", "-n"), "xfs": ("xfs_repair", "-n", "-f")}


@pytest.mark.parametrize("filesystem", ["ext4", "xfs"])
def test_an_image_under_constant_writes_is_one_instant(volumes, bench, run, until, tmp_path, filesystem, undo):
    volumes.make("data", "320m", filesystem)
    point = volumes.mount("data")
    write(point / "ballast", 4)

    with Writer(point) as writer:
        until(lambda: writer.written > 10)
        before = writer.written
        talk = At("read", lambda: until(lambda: writer.written > before + 10))
        result = bench.backup(point, talk=talk, cache_size="64M")
        after = writer.written

    assert (result.mode, result.consistency) == ("snapshot", "point-in-time")
    assert result.sizes.cache_peak > 0
    assert volumes.names() == {"data"}
    assert bench.open_lines() == []
    image = bench.restored(result.image)
    there = tmp_path / "there"
    there.mkdir()
    if filesystem == "xfs":  # the freeze leaves a record in its log, which only a mount takes out
        run("mount", "-o", "loop,nouuid", image, there)
        run("umount", there)
    run(*CHECK[filesystem], image)
    run("mount", "-o", "ro,loop" + (",nouuid" if filesystem == "xfs" else ""), image, there)
    undo.callback(run, "umount", there)
    check_prefix(there, before, after)
    assert (there / "ballast").read_bytes() == (point / "ballast").read_bytes()


def test_auto_takes_a_snapshot_and_a_raw_volume_too(volumes, bench):
    path = volumes.make("raw", "32m")
    content = os.urandom(1 << 20)
    Path(path).write_bytes(content)

    result = bench.backup(path, mode=Mode.AUTO)

    assert result.mode == "snapshot"
    assert result.sizes.image_size < 2 << 20  # zeros are not kept
    assert bench.restored(result.image).read_bytes() == content + bytes((32 << 20) - len(content))


@pytest.mark.slow("zero")
@pytest.mark.parametrize("on_read_error", ["fail", "zero"])
def test_an_overflow_while_reading_commits_nothing(volumes, bench, refused, on_read_error):
    volumes.make("data", "128m", "ext4")
    point = volumes.mount("data")
    write(point / "ballast", 16)
    talk = At("survey", lambda: write(point / "ballast", 16))

    error = refused(bench.backup, point, talk=talk, cache_size="8M", cache_growth=False, on_read_error=on_read_error)

    assert isinstance(error, VolumeChanged), error
    assert "--snapshot-cache-size" in str(error)
    assert bench.images() == []
    assert volumes.names() == {"data"}
    assert bench.open_lines() == []


def test_its_space_grows_if_it_may(volumes, bench, until):
    volumes.make("data", "128m", "ext4")
    point = volumes.mount("data")
    write(point / "ballast", 8)
    sizes = []

    def fill():
        (name,) = volumes.names() - {"data"}
        write(point / "more", 26)
        before = volumes.rows("lv_size")[name]["lv_size"]
        sizes.append(before)
        until(lambda: volumes.rows("lv_size")[name]["lv_size"] != before)

    result = bench.backup(point, talk=At("read", fill), cache_size="32M")

    assert sizes == ["32.00m"]
    assert result.sizes.cache_peak > 26 << 20


def test_no_room_in_the_group_is_told_before_anything_is_made(volumes, bench, refused):
    volumes.make("data", None, None, "-l", "95%VG")

    error = refused(bench.backup, volumes.path("data"), cache_size="50%")

    assert isinstance(error, NoProvider)
    assert "test-vg" in str(error)
    assert "--snapshot-cache-size" in error.next_step
    assert volumes.names() == {"data"}


def test_without_room_auto_reads_what_nobody_uses_as_it_is(volumes, bench):
    volumes.make("data", None, None, "-l", "99%VG")
    Path(volumes.path("data")).write_bytes(b"something")

    assert bench.backup(volumes.path("data"), mode=Mode.AUTO, dry_run=True).mode == "offline"


def test_it_never_needs_more_than_the_volume_can_change(volumes, bench):
    volumes.make("data", "8m")
    path = Path(volumes.path("data"))
    content = os.urandom(4 << 20) + bytes(4 << 20)
    path.write_bytes(content)

    def overwrite():
        with open(path, "r+b", buffering=0) as file:
            file.write(os.urandom(8 << 20))
            os.fsync(file.fileno())

    result = bench.backup(path, talk=At("survey", overwrite), cache_size="100%")

    assert bench.restored(result.image).read_bytes() == content


def test_a_busy_snapshot_is_waited_for(volumes, bench):
    volumes.make("data", "32m", "ext4")
    point = volumes.mount("data")

    def open_it():
        (name,) = volumes.names() - {"data"}
        descriptor = os.open(volumes.path(name), os.O_RDONLY)
        threading.Timer(1.5, os.close, (descriptor,)).start()

    bench.backup(point, talk=At("commit", open_it))

    assert volumes.names() == {"data"}


def test_a_snapshot_that_stays_busy_is_told_and_recovered(volumes, bench, refused):
    volumes.make("data", "32m", "ext4")
    point = volumes.mount("data")
    descriptors = []

    def open_it():
        (name,) = volumes.names() - {"data"}
        descriptors.append(os.open(volumes.path(name), os.O_RDONLY))

    error = refused(bench.backup, point, talk=At("commit", open_it))

    assert isinstance(error, LeftHeld)
    assert len(bench.images()) == 1
    (left,) = volumes.names() - {"data"}
    assert left in str(error)
    assert [each.state for each in bench.recover()] == ["busy"]
    os.close(descriptors.pop())
    assert [each.state for each in bench.recover()] == ["removed"]
    assert volumes.names() == {"data"}
    assert bench.open_lines() == []


def test_a_frozen_file_system_is_told_and_nothing_stays(volumes, bench, refused):
    volumes.make("data", "32m", "ext4")
    point = volumes.mount("data")
    directory = os.open(point, os.O_RDONLY)
    fcntl.ioctl(directory, 0xC0045877, 0)
    try:
        error = refused(bench.backup, point)
    finally:
        fcntl.ioctl(directory, 0xC0045878, 0)
        os.close(directory)

    assert isinstance(error, (VolumeUnusable, LeftHeld))
    bench.recover()
    assert volumes.names() == {"data"}
    assert volumes.suspended() == []
    write(point / "it-lives", 1)


@pytest.mark.udevd
def test_beside_a_udevd_that_looks_into_every_new_device(volumes, bench, run):
    volumes.make("data", "64m", "ext4")
    run("lvcreate", "-y", "--type", "thin-pool", "-L", "64m", "-n", "pool", "test-vg")
    run("lvcreate", "-y", "-V", "32m", "--thinpool", "pool", "-n", "thin", "test-vg")
    point = volumes.mount("data")
    write(point / "file", 2)
    before = volumes.names()

    for volume in (point, volumes.path("thin")):
        assert bench.backup(volume).mode == "snapshot"
        assert volumes.names() == before
    assert bench.open_lines() == []
