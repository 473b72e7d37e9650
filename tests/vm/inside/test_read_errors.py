"""Disks that cannot be read, by device-mapper's own targets: never taken for the end of a volume."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdstill.errors import ReadFault
from holdstill.model.volume import Mode

#: sectors
SIZE = 32 << 11
BAD = (9 << 11, 16)


@pytest.fixture(params=["error", "flakey"])
def broken(run, undo, request):
    """A volume of 32 MiB with 8 KiB in it that cannot be read."""
    with open("/dev/vdd", "r+b", buffering=0) as file:
        content = os.urandom(32 << 20)
        file.write(content)
        os.fsync(file.fileno())
    start, length = BAD
    bad = "error" if request.param == "error" else f"flakey /dev/vdd {start} 0 3600 1 error_reads"
    table = f"0 {start} linear /dev/vdd 0\n{start} {length} {bad}\n"
    table += f"{start + length} {SIZE - start - length} linear /dev/vdd {start + length}\n"
    Path("/tmp/table").write_text(table)
    if request.param == "flakey" and "error_reads" not in _features(run):
        bad = f"flakey /dev/vdd {start} 0 3600"
        Path("/tmp/table").write_text(table.replace(f"{bad} 1 error_reads", bad))
    run("dmsetup", "create", "broken", "/tmp/table")
    undo.callback(run, "dmsetup", "remove", "--retry", "broken")
    return content


def _features(run):
    """error_reads came with version 1.6 of the target (Linux 6.4); before, what is down gives errors by itself."""
    version = next(line.split()[1] for line in run("dmsetup", "targets").splitlines() if line.startswith("flakey"))
    return "error_reads" if tuple(int(part) for part in version.lstrip("v").split(".")) >= (1, 6) else ""


def test_a_read_error_is_no_image(broken, bench, refused):
    error = refused(bench.backup, "/dev/mapper/broken", mode=Mode.OFFLINE)

    assert isinstance(error, ReadFault)
    assert error.offset // 512 < sum(BAD)
    assert bench.images() == []


def test_or_zeros_there_and_nothing_else_if_that_was_asked_for(broken, bench):
    result = bench.backup("/dev/mapper/broken", mode=Mode.OFFLINE, on_read_error="zero")

    start, length = BAD[0] * 512, BAD[1] * 512
    assert [(hole.offset, hole.length) for hole in result.unread] == [(start, length)]
    expected = broken[:start] + bytes(length) + broken[start + length :]
    assert bench.restored(result.image).read_bytes() == expected


def test_under_a_snapshot_the_bad_disk_is_told_and_not_the_snapshot(bench, refused, run, undo):
    """The origin's disk fails while its snapshot is read."""
    sectors, below = 200 << 11, 1 << 11  # not from the beginning, or LVM sees the same disk twice
    run("dmsetup", "create", "disk", "--table", f"0 {sectors} linear /dev/vdd {below}")
    undo.callback(run, "dmsetup", "remove", "--retry", "disk", check=False)
    run("vgcreate", "-y", "-s", "4m", "bad-vg", "/dev/mapper/disk")
    undo.callback(run, "vgremove", "-ff", "-y", "bad-vg", check=False)
    run("lvcreate", "-y", "-W", "n", "-L", "64m", "-n", "data", "bad-vg")
    start = (1 << 11) + (40 << 11)
    past = start + 8
    table = f"0 {start} linear /dev/vdd {below}\n{start} 8 error\n"
    table += f"{past} {sectors - past} linear /dev/vdd {past + below}\n"
    Path("/tmp/table").write_text(table)
    run("dmsetup", "suspend", "disk")
    run("dmsetup", "load", "disk", "/tmp/table")
    run("dmsetup", "resume", "disk")

    error = refused(bench.backup, "/dev/bad-vg/data", cache_size="100%")

    assert isinstance(error, ReadFault)
    assert bench.images() == []
    assert bench.open_lines() == []
    assert "holdstill-" not in run("lvs", "-a", "bad-vg")
