"""Volumes that are not active: woken for an image, and asleep again afterwards, on real LVM."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from holdstill.errors import LeftHeld, VolumeMissing, VolumeUnusable
from holdstill.model.volume import Mode
from holdstill_lvm2.lvm import Lvm
from holdstill_testing.conversations import At

CONTENT = os.urandom(1 << 20)


def devices():
    return set(subprocess.run(["dmsetup", "ls"], capture_output=True, text=True, check=True).stdout.splitlines())


@pytest.fixture(params=["thick", "thin"])
def asleep(request, volumes, run):
    """The path of an inactive volume that begins with ``CONTENT``."""
    if request.param == "thick":
        path = volumes.make("data", "8m")
    else:
        run("lvcreate", "-y", "--type", "thin-pool", "-L", "32m", "-c", "64k", "-n", "pool", "test-vg")
        run("lvcreate", "-y", "-V", "8m", "--thinpool", "pool", "-n", "data", "test-vg")
        path = volumes.path("data")
    with open(path, "r+b", buffering=0) as file:
        file.write(CONTENT)
        os.fsync(file.fileno())
    run("vgchange", "--activate", "n", "test-vg")
    assert not Path(path).exists()
    return path


def test_it_is_woken_imaged_and_put_back(volumes, bench, asleep):
    before, names = devices(), volumes.names()

    result = bench.backup(asleep, cache_size="100%")

    assert result.mode == "snapshot"
    assert bench.restored(result.image).read_bytes() == CONTENT + bytes(7 << 20)
    assert (devices(), volumes.names()) == (before, names)
    assert not Path(asleep).exists()
    assert bench.open_lines() == []


def test_killed_while_it_is_awake(volumes, bench, asleep):
    """When LVM has just woken it, and when it is read."""
    before, names = devices(), volumes.names()
    real = Lvm.change

    def woken(lvm, tool, *words):
        answer = real(lvm, tool, *words)
        os.kill(os.getpid(), signal.SIGKILL)
        return answer

    for kill in ("woken", "read"):
        child = os.fork()
        if child == 0:
            if kill == "woken":
                Lvm.change = woken
            bench.backup(asleep, cache_size="100%", talk=At("read", lambda: os.kill(os.getpid(), signal.SIGKILL)))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        assert Path(asleep).exists()

        recovered = bench.recover()

        assert recovered
        assert all(each.gone for each in recovered)
        assert (devices(), volumes.names()) == (before, names)
        assert bench.open_lines() == []


@pytest.mark.parametrize("asleep", ["thick"], indirect=True)
def test_somebody_who_uses_it_meanwhile_keeps_it_awake(bench, asleep, refused):
    descriptors = []
    talk = At("commit", lambda: descriptors.append(os.open(asleep, os.O_RDONLY)))

    error = refused(bench.backup, asleep, mode=Mode.DYNAMIC, talk=talk)

    assert isinstance(error, LeftHeld)
    assert "is still active now" in str(error)
    assert len(bench.images()) == 1
    assert [each.state for each in bench.recover()] == ["busy"]
    assert Path(asleep).exists()
    os.close(descriptors.pop())
    assert [each.state for each in bench.recover()] == ["removed"]
    assert not Path(asleep).exists()


@pytest.mark.parametrize("asleep", ["thick"], indirect=True)
def test_what_is_not_woken(volumes, bench, asleep, refused, run):
    assert isinstance(refused(bench.backup, volumes.path("other")), VolumeMissing)
    assert isinstance(refused(bench.backup, asleep, dry_run=True), VolumeMissing)
    run("lvcreate", "-y", "-s", "-L", "8m", "-n", "mine", "test-vg/data")
    run("vgchange", "--activate", "n", "test-vg")

    error = refused(bench.backup, volumes.path("mine"))

    assert isinstance(error, VolumeUnusable)
    assert "only together with its origin" in str(error)
    run("vgexport", "test-vg")
    try:
        error = refused(bench.backup, asleep)
    finally:
        run("vgimport", "test-vg")
    assert isinstance(error, VolumeUnusable)
    assert "its volume group is exported" in str(error)
    assert not Path(asleep).exists()
    assert bench.open_lines() == []
