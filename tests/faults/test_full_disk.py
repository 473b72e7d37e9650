"""No space left: under the repository, under the state folder, under the target of a restore. A clear error, nothing
committed, nothing lost; and once there is room, the next run goes through.
"""

from __future__ import annotations

import contextlib
import gc
import os

import attrs
import pytest

from holdstill import Engine
from holdstill.errors import HoldstillError, TargetFull, WriteFault
from holdstill.repository.layout import CONFIG
from holdstill_testing import volumes
from holdstill_testing.torture import dice, rounds
from holdstill_testing.volumes import MIB, attached, digest, mounted
from holdstill_testing.workbench import Workbench

pytestmark = [pytest.mark.root, pytest.mark.torture, pytest.mark.timeout(7200)]


@pytest.fixture(params=["ext4", "tmpfs"])
def small_disk(request, tmp_path):
    """A file system of 32 MiB."""
    if request.param == "ext4":
        with (
            attached(volumes.ext4(tmp_path / "disk", 32 * MIB, "-m", "0")) as device,
            mounted(device) as place,
        ):
            yield place
    else:
        place = tmp_path / "tmpfs"
        place.mkdir()
        volumes.run("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", place)
        try:
            yield place
        finally:
            volumes.run("umount", place)


def fill(place, leave):
    """Take all the space but so many bytes."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while (left := free(place) - leave) > 0:
            file.write(bytes(min(left, MIB)))
            os.fsync(file.fileno())
    return ballast


def free(place):
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def test_a_full_disk_under_the_repository(scene, small_disk, tmp_path, record_property):
    draw, count = dice("full"), rounds(40)
    moved = scene.copied(tmp_path / "copy").bench.repository
    for number in range(count):
        repository = small_disk / f"repository{number}"
        volumes.run("cp", "-a", moved, repository)
        here = attrs.evolve(scene, bench=Workbench(scene.bench.engine, repository, scene.bench.state))
        ballast = fill(small_disk, draw.choice([0, 4096, 65536, draw.randrange(4 * MIB)]))
        with pytest.raises(TargetFull) as full:
            here.bench.back_up(here.volume)
        assert full.value.next_step
        assert str(repository) in str(full.value)
        assert [image.id for image in here.bench.engine.images(here.bench.url)] == [here.image]
        assert here.assert_every_image_comes_back(tmp_path) == 1
        ballast.unlink()
        here.bench.back_up(here.volume)
        assert here.assert_every_image_comes_back(tmp_path) == 2
        assert here.bench.findings() == ()
        assert here.bench.nothing_is_held()
        volumes.run("rm", "-r", repository)
    record_property("rounds", count)
    record_property("faults", count)


def test_what_was_stored_before_the_disk_was_full_is_used_after(scene, small_packs, small_disk, tmp_path):
    big = volumes.noise(tmp_path / "big", 20 * MIB, dice("big"))
    bench = Workbench(scene.bench.engine, small_disk / "repository", scene.bench.state)
    bench.repository.mkdir()
    (bench.repository / CONFIG).write_bytes(b"".join(small_packs.sealed()))
    ballast = fill(small_disk, 12 * MIB)
    with pytest.raises(TargetFull):
        bench.back_up(big)
    left = sum(bench.packs().values())
    assert left > 6 * MIB
    ballast.unlink()
    assert bench.back_up(big).sizes.stored_size < 20 * MIB + MIB - left


def test_a_full_disk_under_the_state_folder(scene, small_disk, tmp_path):
    here = scene.copied(tmp_path / "copy")
    bench = Workbench(Engine(state=str(small_disk / "state")), here.bench.repository, small_disk / "state")
    ballast = fill(small_disk, 0)
    with pytest.raises(HoldstillError) as full:
        bench.back_up(here.volume)
    assert str(small_disk) in str(full.value)
    assert full.value.next_step
    ballast.unlink()
    assert here.assert_every_image_comes_back(tmp_path) == 1
    bench.back_up(here.volume)
    assert here.assert_every_image_comes_back(tmp_path) == 2


def test_nothing_in_a_full_state_folder_stays_open(scene, small_disk, tmp_path):
    here = scene.copied(tmp_path / "copy").bench
    bench = Workbench(Engine(state=str(small_disk / "state")), here.repository, small_disk / "state")
    refused = []
    gc.disable()  # an error and the frames it went through hold each other, and what is open in them
    try:
        for leave in (0, 4096, 8192, 20480, 40960, 81920, MIB):
            ballast = fill(small_disk, leave)
            for work in (lambda: bench.back_up(scene.volume), bench.findings, lambda: bench.engine.images(bench.url)):
                try:
                    work()
                except HoldstillError as error:
                    refused.append(str(error))
                assert open_below(small_disk) == []
            ballast.unlink()
    finally:
        gc.enable()
    assert refused
    assert all(str(small_disk) in each for each in refused)


def open_below(place):
    """The files of this process that are open there."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # with that one the list was read
            found.append(os.readlink(f"/proc/self/fd/{each}"))
    return [path for path in found if path.startswith(str(place))]


@pytest.mark.parametrize("leave", [0, MIB // 2, MIB])
def test_a_full_disk_under_the_restored_file(scene, small_disk, leave):
    target, ballast = small_disk / "target", fill(small_disk, leave)
    with pytest.raises(WriteFault) as full:
        scene.bench.restore(scene.image, target)
    assert str(target) in str(full.value)
    assert volumes.recognised(target) == ""
    ballast.unlink()
    scene.bench.restore(scene.image, target)
    assert digest(target) == scene.due_first
    assert scene.bench.nothing_is_held()
