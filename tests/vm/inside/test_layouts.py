"""Volumes that are made of others, and groups that miss something: imaged, or refused with nothing left behind."""

from __future__ import annotations

import os

import pytest

from holdstill.errors import NoProvider, VolumeUnusable

CONTENT = os.urandom(1 << 20)
#: what makes ``data``, on three disks
LAYOUTS = {
    "striped": ["lvcreate -y -W n --type striped -i 2 -L 8m -n data test-vg"],
    "mirror": ["lvcreate -y -W n --type mirror -m 1 --mirrorlog core -L 8m -n data test-vg"],
    "raid1": ["lvcreate -y -W n --type raid1 -m 1 -L 8m -n data test-vg"],
    "raid5": ["lvcreate -y -W n --type raid5 -i 2 -L 8m -n data test-vg"],
    "cache": [
        "lvcreate -y -W n -L 8m -n data test-vg",
        "lvcreate -y --type cache-pool -L 12m -n fast test-vg",
        "lvconvert -y --type cache --cachepool fast test-vg/data",
    ],
    "cachevol": [
        "lvcreate -y -W n -L 8m -n data test-vg",
        "lvcreate -y -W n -L 12m -n fast test-vg",
        "lvconvert -y --type cache --cachevol fast test-vg/data",
    ],
    "writecache": [
        "lvcreate -y -W n -L 8m -n data test-vg",
        "lvcreate -y -W n -L 12m -an -n fast test-vg",
        "lvconvert -y --type writecache --cachevol fast test-vg/data",
    ],
}


@pytest.fixture
def three_disks(run, volumes):
    run("vgextend", "-y", "test-vg", "/dev/vdc", "/dev/vdd")
    yield
    run("vgreduce", "--removemissing", "--force", "test-vg", check=False)
    run("vgremove", "-ff", "-y", "test-vg", check=False)
    for disk in ("/dev/vdc", "/dev/vdd"):
        run("wipefs", "-f", "-a", disk, check=False)


@pytest.fixture
def make(volumes, three_disks, run):
    def make(layout):
        for command in LAYOUTS[layout]:
            run(*command.split())
        with open(volumes.path("data"), "r+b", buffering=0) as file:
            file.write(CONTENT)
            os.fsync(file.fileno())
        return volumes.path("data")

    return make


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"cachevol"}))
def test_a_snapshot_of_what_is_made_of_others(volumes, bench, make, layout):
    path = make(layout)
    before = volumes.names()

    result = bench.backup(path, cache_size="100%")

    assert result.mode == "snapshot"
    assert bench.restored(result.image).read_bytes()[: len(CONTENT)] == CONTENT
    assert volumes.names() == before
    assert volumes.suspended() == []
    assert bench.open_lines() == []


def test_what_lvm_cannot_do_is_told_in_its_words_and_undone(volumes, bench, make, refused):
    """LVM 2.03.16 checks a cache volume that is in use, fails over that half-way, and asks for a repair by hand."""
    path = make("cachevol")
    before = volumes.names()

    error = refused(bench.backup, path, cache_size="100%")

    assert isinstance(error, VolumeUnusable)
    assert "LVM makes no snapshot of it" in str(error)
    assert volumes.names() == before
    assert volumes.suspended() == []
    assert bench.open_lines() == []
    with open(path, "r+b", buffering=0) as file:
        file.write(b"it lives")
        os.fsync(file.fileno())


def test_a_group_that_misses_a_disk_gets_none(volumes, three_disks, bench, refused, run):
    path = volumes.make("data", "8m")
    run("wipefs", "-f", "-a", "/dev/vdd")

    error = refused(bench.backup, path)

    assert isinstance(error, NoProvider)
    assert "1 disks of its volume group are missing" in str(error)
    assert volumes.names() == {"data"}
    assert bench.open_lines() == []


def test_a_snapshot_of_it_that_somebody_suspended_stays_so(volumes, bench, refused, run):
    """LVM would resume it together with its origin."""
    path = volumes.make("data", "8m")
    run("lvcreate", "-y", "-s", "-L", "8m", "-n", "mine", "test-vg/data")
    run("dmsetup", "suspend", "test--vg-mine")
    try:
        error = refused(bench.backup, path, cache_size="100%")
        suspended = volumes.suspended()
    finally:
        run("dmsetup", "resume", "test--vg-mine")

    assert isinstance(error, NoProvider)
    assert "its snapshot mine is suspended" in str(error)
    assert suspended == ["Suspended test--vg-mine"]
    assert volumes.names() == {"data", "mine"}
