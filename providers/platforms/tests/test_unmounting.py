"""Unmounting a volume: all of its mounts or, before anything is unmounted, a refusal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from holdstill.errors import VolumeBusy
from holdstill_platforms.linux.identify import identify

pytestmark = pytest.mark.root


def test_every_mount_goes(ext4, mount) -> None:
    image, device = ext4()
    point = mount(device, "m")
    (Path(point) / "part").mkdir()
    mount(f"{point}/part", "bound", "--bind")
    mount(device, "m/part")
    mount(point, "m", "--bind")
    assert len(identify(device).facts.mounts) == 4

    identify(str(image)).unmount()

    assert identify(device).facts.mounts == ()
    identify(device).open_writer().close()


def test_nothing_to_do(noisy) -> None:
    identify(str(noisy(4096))).unmount()


def test_a_mount_that_somebody_uses(ext4, mount) -> None:
    _, device = ext4()
    point = mount(device, "m")
    with (Path(point) / "file").open("w"), pytest.raises(VolumeBusy, match="cannot be unmounted") as told:
        identify(device).unmount()
    assert "fuser" in told.value.next_step
    assert len(identify(device).facts.mounts) == 1


def test_mounts_below_are_refused_and_nothing_goes(ext4, mount) -> None:
    outer, inner = ext4("outer")[1], ext4("inner")[1]
    mount(outer, "m")
    point = mount(inner, "m/deep")

    with pytest.raises(VolumeBusy, match=point):
        identify(outer).unmount()
    assert len(identify(outer).facts.mounts) == 1


def test_a_mount_of_another_namespace_that_would_stay(ext4, mount, elsewhere) -> None:
    _, device = ext4()
    mount(device, "m")
    stranger = elsewhere()

    with pytest.raises(VolumeBusy, match=f"process {stranger}"):
        identify(device).unmount()
    assert len(identify(device).facts.mounts) == 2


def test_a_mount_of_another_namespace_that_follows(ext4, mount, elsewhere, tmp_path: Path) -> None:
    _, device = ext4()
    shared = mount("tmpfs", "shared", "-t", "tmpfs", "--make-shared")
    mount(device, "shared/m")
    elsewhere("slave")
    assert len(identify(device).facts.mounts) == 2

    identify(device).unmount()

    assert identify(device).facts.mounts == ()
    assert os.path.ismount(shared)


def test_a_hidden_mount_is_left_alone(ext4, mount, tmp_path: Path) -> None:
    hidden, foreign = ext4("hidden")[1], ext4("foreign")[1]
    mount(hidden, "a/b")
    above = mount("tmpfs", "a", "-t", "tmpfs")
    mount(foreign, "a/b")

    with pytest.raises(VolumeBusy, match="hidden"):
        identify(hidden).unmount()
    assert len(identify(foreign).facts.mounts) == 1
    assert os.path.ismount(above)
    subprocess.run(("umount", f"{above}/b"), check=True)
    with pytest.raises(VolumeBusy):
        identify(hidden).unmount()
