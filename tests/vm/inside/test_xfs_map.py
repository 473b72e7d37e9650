"""The map of an XFS in use, from a snapshot: nobody needs what it leaves out; and where it would lie, there is none."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from holdstill_filesystems import plugin as filesystems
from holdstill_testing.conversations import At
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader


class Busy(threading.Thread):
    """Makes, grows, renames and removes files, and never touches those of the test."""

    def __init__(self, point):
        super().__init__(daemon=True)
        self.point = point
        self.rounds = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            file = self.point / f"busy{self.rounds % 30}"
            if self.rounds % 3 == 2:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(os.urandom(3000 * (self.rounds % 7 + 1)))
                file.replace(self.point / f"busy{(self.rounds * 7) % 30}")
            if self.rounds % 5 == 0:
                os.sync()
            self.rounds += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()


def digests(point):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in point.iterdir()
        if path.name.startswith("kept")
    }


@pytest.fixture
def point(volumes):
    """A mounted XFS in which files were kept and removed."""
    volumes.make("data", "320m", "xfs")
    point = volumes.mount("data")
    for number in range(40):
        (point / f"kept{number}").write_bytes(os.urandom(20_000 + 1000 * number))
        (point / f"gone{number}").write_bytes(os.urandom(30_000))
    for number in range(40):
        (point / f"gone{number}").unlink()
    return point


def test_nothing_that_it_needs_is_outside_its_map(volumes, bench, run, until, tmp_path, point):
    """All the rest of the restored copy becomes noise; neither the kernel, nor xfs_repair, nor a file notices."""
    before = digests(point)
    with Busy(point) as busy:
        until(lambda: busy.rounds > 10)
        began = busy.rounds
        talk = At("read", lambda: until(lambda: busy.rounds > began + 10))
        result = bench.backup(point, talk=talk, cache_size="64M")

    assert result.whole_volume_because is None
    assert any("the file system was frozen" in note for note in result.notes)
    assert result.sizes.used_size < 160 << 20
    image = bench.restored(result.image)
    with FileReader(image) as reader:
        used = answer(reader, filesystems)
    assert used.total == result.sizes.used_size
    destroyed = destroy(image, tmp_path / "destroyed.img", used)
    image.unlink()
    there = tmp_path / "there"
    there.mkdir()
    run("mount", "-o", "loop,nouuid", destroyed, there)  # takes the freeze's record out of the log
    try:
        assert digests(there) == before
    finally:
        run("umount", there)
    run("xfs_repair", "-n", "-f", destroyed)


def test_a_log_that_holds_more_than_a_freeze_leaves_costs_the_map(volumes, bench, run, point):
    """A volume that crashed: recovery may still change what is in use, so there is no map, and the image says so."""
    run("sync", "-f", point)
    for number in range(50):
        (point / f"late{number}").write_bytes(os.urandom(5000))
    run("xfs_io", "-x", "-c", "shutdown -f", point)
    run("umount", point)

    result = bench.backup(volumes.path("data"), cache_size="64M")

    assert "not yet carried out" in result.whole_volume_because or "more than" in result.whole_volume_because
    assert result.mode == "snapshot"
    assert result.sizes.used_size == 320 << 20
    run("cmp", bench.restored(result.image), volumes.path("data"))
