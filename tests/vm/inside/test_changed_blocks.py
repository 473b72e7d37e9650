"""Images of thin volumes of which only that is read which changed, on real LVM."""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
from pathlib import Path

import pytest

from holdstill_lvm2.snapshots import delta
from holdstill_testing.conversations import At
from holdstill_testing.torture import rounds

SIZE = 12 << 20
BLOCK = 64 << 10


@pytest.fixture
def thin(volumes, run):
    run("lvcreate", "-y", "--type", "thin-pool", "-L", "160m", "-c", "64k", "-n", "pool", "test-vg")
    run("lvcreate", "-y", "-V", f"{SIZE}b", "--thinpool", "pool", "-n", "data", "test-vg")
    return volumes


@pytest.fixture
def path(thin):
    return Path(thin.path("data"))


def content(path):
    """Past the cache of the device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, SIZE) as room:
        assert os.preadv(descriptor, [room], 0) == SIZE
        os.close(descriptor)
        return bytes(room)


def write(path, offset, data):
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        file.write(data)
        os.fsync(file.fileno())


def kept(thin):
    return {name for name, row in thin.rows("lv_tags").items() if "holdstill-kept-" in row["lv_tags"]}


def mark_file(bench):
    (found,) = (Path(bench.state) / "marks").glob("*")
    return found


def test_reading_costs_what_changed(thin, path, bench):
    write(path, 0, os.urandom(4 << 20))
    first = bench.backup(path, changed_blocks=True)
    write(path, 3 << 20, os.urandom(100_000))

    second = bench.backup(path, changed_blocks=True)

    assert first.sizes.read_size == SIZE
    assert second.sizes.read_size <= 1 << 20
    assert second.notes == (f"read only what changed since image {first.image[:12]}",)
    assert bench.restored(second.image).read_bytes() == content(path)
    assert len(kept(thin)) == 1
    assert bench.open_lines() == []
    bench.backup(path)
    assert kept(thin) == set()
    assert thin.names() >= {"data", "pool"}


def test_every_round_equals_the_volume(thin, path, bench, run):
    chance = random.Random(5)
    write(path, 0, chance.randbytes(SIZE // 4))
    bench.backup(path, changed_blocks=True)

    for number in range(max(5, rounds(20))):
        for _ in range(chance.randrange(4)):
            offset = chance.randrange(0, SIZE - BLOCK)
            block = offset // BLOCK * BLOCK
            match chance.randrange(4):
                case 0:
                    run("blkdiscard", "-o", block, "-l", BLOCK, path)
                case 1:  # discarded, then written again
                    run("blkdiscard", "-o", block, "-l", BLOCK, path)
                    write(path, block, chance.randbytes(4096))
                case 2:
                    write(path, offset, bytes(BLOCK))
                case _:
                    write(path, offset, chance.randbytes(chance.randrange(1, BLOCK)))
        if chance.randrange(3) == 0:
            run("lvcreate", "-y", "-s", "-n", f"other{number}", "test-vg/data")
        result = bench.backup(path, changed_blocks=True)

        assert "read only what changed" in result.notes[0]
        assert bench.restored(result.image).read_bytes() == content(path), number


@pytest.mark.slow
def test_a_forged_binding_is_refused(thin, path, bench):
    write(path, 0, os.urandom(1 << 20))
    bench.backup(path, changed_blocks=True)
    for forged in ("thin_id", "transaction", "pool", "size", "origin", "snapshot"):
        file = mark_file(bench)
        marked = json.loads(file.read_text())
        marked["mark"][forged] = "999" if marked["mark"][forged].isdigit() else marked["mark"]["group"]
        file.write_text(json.dumps(marked))

        result = bench.backup(path, changed_blocks=True)

        assert result.notes[0].startswith("everything was read: the snapshot that was kept is"), forged
        assert result.sizes.read_size == SIZE
    assert bench.restored(result.image).read_bytes() == content(path)
    assert len(kept(thin)) == 1


@pytest.mark.slow
def test_an_image_before_that_is_another_fails_the_claim(thin, path, bench):
    """The mark names an image that is not of the snapshot that was kept: samples find it out."""
    write(path, 0, os.urandom(2 << 20))
    wrong = bench.backup(path)
    write(path, 0, os.urandom(2 << 20))
    bench.backup(path, changed_blocks=True)
    file = mark_file(bench)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"image": wrong.image}))

    result = bench.backup(path, changed_blocks=True)

    assert "that were said to be as in image" in result.notes[0]
    assert bench.restored(result.image).read_bytes() == content(path)


@pytest.mark.slow
def test_a_metadata_snapshot_of_somebody_else_stays(thin, path, bench, run):
    write(path, 0, os.urandom(1 << 20))
    bench.backup(path, changed_blocks=True)
    run("dmsetup", "message", "test--vg-pool-tpool", "0", "reserve_metadata_snap")
    held = run("dmsetup", "status", "test--vg-pool-tpool").split()[6]

    result = bench.backup(path, changed_blocks=True)

    assert "somebody has reserved" in result.notes[0]
    assert run("dmsetup", "status", "test--vg-pool-tpool").split()[6] == held
    run("dmsetup", "message", "test--vg-pool-tpool", "0", "release_metadata_snap")


def test_killed_when_it_is_reserved_and_nobody_has_noted_which(thin, path, bench, run, monkeypatch):
    """What went on when we were killed has written it down."""
    write(path, 0, os.urandom(1 << 20))
    bench.backup(path, changed_blocks=True)
    before = thin.names()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(delta, "_noted", lambda data: os.kill(os.getpid(), signal.SIGKILL))
        bench.backup(path, changed_blocks=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert run("dmsetup", "status", "test--vg-pool-tpool").split()[6] != "-"

    assert all(each.gone for each in bench.recover())

    assert run("dmsetup", "status", "test--vg-pool-tpool").split()[6] == "-"
    assert thin.names() == before
    assert bench.open_lines() == []


@pytest.mark.slow
def test_an_external_origin_is_no_zeros(volumes, bench, run):
    """What is not mapped reads as the external origin."""
    outside = volumes.make("outside", "8m")
    below = os.urandom(8 << 20)
    Path(outside).write_bytes(below)
    run("lvchange", "-an", "test-vg/outside")
    run("lvchange", "-pr", "test-vg/outside")
    run("lvcreate", "-y", "--type", "thin-pool", "-L", "64m", "-c", "64k", "-n", "pool", "test-vg")
    run("lvcreate", "-y", "-s", "-kn", "--thinpool", "pool", "-n", "data", "test-vg/outside")
    path = Path(volumes.path("data"))
    bench.backup(path, changed_blocks=True)
    write(path, 1 << 20, b"above")

    result = bench.backup(path, changed_blocks=True)

    assert "read only what changed" in result.notes[0]
    expected = below[: 1 << 20] + b"above" + below[(1 << 20) + 5 :]
    assert bench.restored(result.image).read_bytes() == expected


@pytest.mark.slow
def test_what_changes_meanwhile_is_seen_the_next_time(thin, path, bench):
    write(path, 0, os.urandom(2 << 20))
    bench.backup(path, changed_blocks=True, talk=At("survey", lambda: write(path, 0, os.urandom(1 << 20))))

    result = bench.backup(path, changed_blocks=True)

    assert bench.restored(result.image).read_bytes() == content(path)
