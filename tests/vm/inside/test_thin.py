"""Thin snapshots of volumes in use, on real LVM."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdstill.errors import NoProvider, VolumeChanged
from holdstill.model.volume import Mode
from holdstill_testing.conversations import At


@pytest.fixture
def pool(volumes, run):
    """A thin pool with a volume of 64 MiB, of which nothing is mapped."""
    run("lvcreate", "-y", "--type", "thin-pool", "-L", "96m", "-c", "64k", "-Z", "y", "-n", "pool", "test-vg")
    run("lvcreate", "-y", "-V", "64m", "--thinpool", "pool", "-n", "data", "test-vg")
    return volumes


def test_an_image_of_a_thin_volume_in_use(pool, bench, run, tmp_path):
    run("mkfs.ext4", "-q", "-F", pool.path("data"))
    point = pool.mount("data")
    (point / "file").write_bytes(os.urandom(3 << 20))
    before = pool.names()

    result = bench.backup(point, mode=Mode.AUTO)

    assert result.mode == "snapshot"
    assert pool.names() == before
    assert bench.open_lines() == []
    image = bench.restored(result.image)
    run("e2fsck", "-f", "-n", image)
    run("debugfs", "-R", f"dump /file {tmp_path}/dumped", image)
    assert (tmp_path / "dumped").read_bytes() == (point / "file").read_bytes()


def test_what_is_written_meanwhile_is_no_part_of_it(pool, bench):
    path = Path(pool.path("data"))
    content = os.urandom(2 << 20)
    path.write_bytes(content)

    def overwrite():
        with open(path, "r+b", buffering=0) as file:
            file.write(os.urandom(4 << 20))
            os.fsync(file.fileno())

    result = bench.backup(path, talk=At("survey", overwrite))

    assert bench.restored(result.image).read_bytes() == content + bytes(62 << 20)
    assert result.sizes.cache_peak >= 4 << 20


def test_a_pool_that_is_nearly_full_gets_no_snapshot(pool, bench, refused, run):
    run("lvcreate", "-y", "-V", "96m", "--thinpool", "pool", "-n", "other", "test-vg")
    with open(pool.path("other"), "r+b", buffering=0) as file:
        file.write(os.urandom(93 << 20))
        os.fsync(file.fileno())
    before = pool.names()

    error = refused(bench.backup, pool.path("data"))

    assert isinstance(error, NoProvider)
    assert "96% full" in str(error)
    assert pool.names() == before


def test_a_pool_in_trouble_gets_no_snapshot(pool, bench, refused, run):
    run("dmsetup", "suspend", "test--vg-pool-tpool")
    table = run("dmsetup", "table", "test--vg-pool-tpool").strip()
    run("dmsetup", "load", "test--vg-pool-tpool", "--table", _read_only(table))
    run("dmsetup", "resume", "test--vg-pool-tpool")
    before = pool.names()

    error = refused(bench.backup, pool.path("data"))

    assert isinstance(error, NoProvider)
    assert "(ro)" in str(error)
    assert pool.names() == before


def test_a_snapshot_that_is_removed_while_it_is_read_is_no_image(pool, bench, refused, run):
    Path(pool.path("data")).write_bytes(os.urandom(2 << 20))

    def remove():
        (name,) = {name for name in pool.names() if name.startswith("holdstill-")}
        run("dmsetup", "remove", "--force", "test--vg-" + name.replace("-", "--"), check=False)

    error = refused(bench.backup, pool.path("data"), talk=At("commit", remove))

    assert isinstance(error, VolumeChanged)
    assert bench.images() == []
    assert not [name for name in pool.names() if name.startswith("holdstill-")]


def _read_only(table):
    """The pool's table with the feature ``read_only`` (thin-provisioning.rst)."""
    words = table.split()
    features = words[8:] if int(words[7]) else []
    return " ".join([*words[:7], str(len(features) + 1), *features, "read_only"])
