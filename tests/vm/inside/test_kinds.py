"""Volumes of every kind that LVM makes: a snapshot, or a reason why there is none; and never a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdstill.errors import HoldstillError, NoProvider
from holdstill.model.volume import Mode

CONTENT = os.urandom(1 << 20)


def imaged(volumes, bench, name):
    """What an image of it holds at its beginning."""
    with open(volumes.path(name), "r+b", buffering=0) as file:
        file.write(CONTENT)
        os.fsync(file.fileno())
    before = volumes.names()
    result = bench.backup(volumes.path(name), cache_size="100%")
    assert result.mode == "snapshot"
    assert volumes.names() == before
    return bench.restored(result.image).read_bytes()[: len(CONTENT)]


@pytest.mark.parametrize(
    "name", ["with-dashes--two", "odd+chars_1.x", "-".join(["n"] * 25)], ids=["dashes", "others", "long"]
)
def test_odd_names(volumes, bench, name):
    volumes.make(name, "8m")

    assert imaged(volumes, bench, name) == CONTENT


def test_a_snapshot_has_none_of_its_own(volumes, bench, refused, run):
    volumes.make("data", "8m")
    run("lvcreate", "-y", "-s", "-L", "8m", "-n", "mine", "test-vg/data")
    before = volumes.names()

    error = refused(bench.backup, volumes.path("mine"))

    assert isinstance(error, NoProvider)
    assert "it is a snapshot" in str(error)
    assert volumes.names() == before


def test_another_snapshot_of_the_same_volume_stays(volumes, bench, run):
    volumes.make("data", "8m")
    run("lvcreate", "-y", "-s", "-L", "12m", "-n", "mine", "--addtag", "holdstill-mine", "test-vg/data")

    assert imaged(volumes, bench, "data") == CONTENT
    assert "mine" in volumes.names()


def test_a_hidden_part_is_none(volumes, bench, refused, run):
    volumes.make("data", "8m")
    run("lvcreate", "-y", "-s", "-L", "8m", "-n", "mine", "test-vg/data")

    error = refused(bench.backup, "/dev/mapper/test--vg-data-real")

    assert isinstance(error, NoProvider)


def test_a_suspended_one_is_left_alone(volumes, bench, refused, run):
    volumes.make("data", "8m")
    run("dmsetup", "suspend", "test--vg-data")
    try:
        error = refused(bench.backup, volumes.path("data"), mode=Mode.SNAPSHOT)
    finally:
        still_suspended = volumes.suspended()
        run("dmsetup", "resume", "test--vg-data")

    assert isinstance(error, HoldstillError)
    assert still_suspended == ["Suspended test--vg-data"]
    assert volumes.names() == {"data"}


def test_what_lvm_does_not_show_is_told(volumes, bench, refused):
    """A filter of LVM's hides its disk, and its device is there all the same."""
    volumes.make("data", "8m")
    conf = Path("/etc/lvm/lvm.conf")
    text = conf.read_text()
    conf.write_text(text + 'devices/filter=["r|.*|"]\n')
    try:
        error = refused(bench.backup, volumes.path("data"))
    finally:
        conf.write_text(text)

    assert isinstance(error, NoProvider)
    assert "LVM does not know this volume" in str(error)


def test_no_logical_volume_is_none(bench, refused):
    error = refused(bench.backup, "/dev/vdd")

    assert isinstance(error, NoProvider)
    assert "no logical volume" in str(error)
