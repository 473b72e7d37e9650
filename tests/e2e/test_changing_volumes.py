"""Volumes that somebody writes to: dynamic images say that they are fuzzy, offline ones are not committed at all."""

import contextlib
import itertools
import mmap
import os
import subprocess
import threading
from contextlib import contextmanager

import pytest

from holdstill import BackupRequest, Consistency, Mode, StageStarted
from holdstill.errors import VolumeChanged
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing
from holdstill_testing.torture import dice
from holdstill_testing.volumes import attached, digest, files_in, is_clean, mounted


@contextmanager
def busy(place):
    """Somebody who never stops writing below ``place``."""
    stop = threading.Event()
    draw = dice("busy")

    def write():
        for number in itertools.count():
            if stop.is_set():
                return
            path = place / f"busy{number % 40}"
            path.write_bytes(draw.randbytes(20_000))
            with path.open("r+b") as file:
                os.fsync(file.fileno())
            if number % 7 == 6:
                path.unlink()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


@pytest.mark.root
def test_a_dynamic_image_of_a_mounted_volume_is_fuzzy_and_can_be_repaired(bench, volume, tmp_path):
    untouched = files_in(volume)
    with attached(volume) as device, mounted(device) as place, busy(place):
        result = bench.back_up(place, mode=Mode.DYNAMIC)
    assert result.consistency is Consistency.FUZZY
    assert bench.engine.show(bench.url, result.image).consistency is Consistency.FUZZY
    assert any("read twice" in note for note in result.notes)
    restored = tmp_path / "restored"
    back = bench.restore(result.image, restored)
    assert back.proved
    assert any("fsck" in note for note in back.notes)
    repaired = subprocess.run(("e2fsck", "-fy", restored), capture_output=True, text=True)
    assert repaired.returncode in (0, 1), repaired.stdout
    assert is_clean(restored)
    found = files_in(restored)
    assert {name: found.get(name) for name in untouched} == untouched, "what nobody wrote to is as it was"
    assert bench.nothing_is_held()


class Meddling(Agreeing):
    """Does something to the volume while it is read."""

    def __init__(self, meddle, stage):
        super().__init__()
        self.meddle, self.stage = meddle, stage

    def tell(self, event):
        super().tell(event)
        if isinstance(event, StageStarted) and event.stage == self.stage:
            self.meddle()


def map_and_store(fd):
    with mmap.mmap(fd, 1 << 20) as memory:
        memory[5000] = (memory[5000] + 1) % 256
        memory.flush()


WRITING = {
    "a byte in the middle": lambda fd: os.pwrite(fd, b"meddled", 40 << 20),
    "through a memory map": map_and_store,
    "longer": lambda fd: os.ftruncate(fd, (64 << 20) + 4096),
    "shorter": lambda fd: os.ftruncate(fd, 63 << 20),
}


def replace(path):
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").rename(path)


RENAMING = {
    "only the time": lambda path: os.utime(path),
    "another file in its place": replace,
    "removed": lambda path: path.unlink(),
}


def assert_not_committed(bench, volume, meddle, stage):
    kept = volume.with_name("kept")
    os.link(volume, kept)
    with pytest.raises(VolumeChanged):
        bench.engine.backup(bench.url, BackupRequest(str(volume), mode=Mode.OFFLINE), Meddling(meddle, stage))
    assert bench.engine.images(bench.url) == []
    assert bench.nothing_is_held()
    assert bench.back_up(kept).image, "and the next backup of what is there now works"


@pytest.mark.parametrize("stage", ["survey", "read", "commit"])
@pytest.mark.parametrize("what", RENAMING)
def test_a_file_that_changes_while_it_is_read_offline_is_not_committed(bench, volume, what, stage):
    assert_not_committed(bench, volume, lambda: RENAMING[what](volume), stage)


@pytest.mark.parametrize("stage", ["survey", "read", "commit"])
def test_a_file_that_is_opened_for_writing_while_it_is_read_offline_is_not_committed(bench, volume, stage):
    def meddle():
        with contextlib.suppress(BlockingIOError):
            os.close(os.open(volume, os.O_RDWR | os.O_NONBLOCK))

    assert_not_committed(bench, volume, meddle, stage)


@pytest.mark.parametrize("stage", ["survey", "read", "commit"])
@pytest.mark.parametrize("what", WRITING)
def test_a_file_that_somebody_had_open_for_writing_all_along_is_not_committed(bench, volume, what, stage):
    with volume.open("r+b") as file:
        assert_not_committed(bench, volume, lambda: WRITING[what](file.fileno()), stage)


@pytest.mark.root
def test_a_device_that_is_written_to_while_it_is_read_offline_is_not_committed(bench, volume):
    with attached(volume) as device:

        def meddle():
            with open(device, "r+b", buffering=0) as file:
                file.seek(40 << 20)
                file.write(b"meddled" * 100)

        with pytest.raises(VolumeChanged):
            bench.engine.backup(bench.url, BackupRequest(device), Meddling(meddle, "commit"))
        assert bench.engine.images(bench.url) == []
        assert bench.back_up(device).image


def test_a_dynamic_image_of_a_file_that_shrinks_never_ends_early(bench, volume):
    from holdstill.errors import ReadFault

    talk = Meddling(lambda: os.truncate(volume, 1 << 20), "read")
    with pytest.raises(ReadFault):
        bench.engine.backup(bench.url, BackupRequest(str(volume), mode=Mode.DYNAMIC), talk)
    assert bench.engine.images(bench.url) == []


def test_a_dynamic_image_of_what_stands_still_is_equal(bench, volume, tmp_path):
    result = bench.back_up(volume, mode=Mode.DYNAMIC)
    assert any("0 had changed" in note for note in result.notes)
    bench.restore(result.image, tmp_path / "restored")
    assert digest(tmp_path / "restored") == bench.due(volume)


def test_free_space_that_changes_does_not_matter_to_a_dynamic_image(bench, volume, tmp_path):
    (offset, length), *_ = sorted(volumes.free_in_ext(volume), key=lambda run: -run[1])
    due = bench.due(volume)

    def meddle():
        with volume.open("r+b") as file:
            file.seek(offset)
            file.write(b"x" * min(length, 1 << 20))

    talk = Meddling(meddle, "read")
    result = bench.engine.backup(bench.url, BackupRequest(str(volume), mode=Mode.DYNAMIC), talk)
    bench.restore(result.image, tmp_path / "restored")
    assert digest(tmp_path / "restored") == due
