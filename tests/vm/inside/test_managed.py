"""What an image keeps of its volume group, volumes that are made for a restore, and images of LVM1 that go to LVM2."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from holdstill import ImportRequest, RestoreRequest
from holdstill.errors import Damaged, RestoreRefused, VolumeUnusable
from holdstill.model.volume import Mode
from holdstill.pipeline import restore as restoring

MIB = 1 << 20
NEW = "test-vg/new--of_1-lv"


@pytest.fixture
def imaged(volumes, bench):
    """An image of a volume with dashes in its names, and the bytes that it had."""
    path = volumes.make("my-data", "24m", "ext4")
    point = volumes.mount("my-data")
    for number in range(20):
        (point / f"file{number}").write_bytes(os.urandom(100_000))
    volumes.undo.callback(os.sync)
    return bench.backup(path).image


def restore(bench, image, name=NEW):
    return bench.engine.restore(bench.url, RestoreRequest(image=image, to_new_volume=name), bench.talk)


def test_the_layout_of_the_group_is_kept(imaged, bench, volumes, run):
    managed = bench.engine.show(bench.url, imaged).managed
    row = volumes.rows("lv_uuid", "vg_uuid")["my-data"]
    assert (managed.manager, managed.client) == ("lvm2", "5.4")
    assert managed.facts == {
        "vg": "test-vg",
        "vg_uuid": row["vg_uuid"],
        "lv": "my-data",
        "lv_uuid": row["lv_uuid"],
        "lv_size": str(24 * MIB),
        "lv_type": "striped",
        "extent_size": str(4 * MIB),
    }
    assert row["lv_uuid"] in managed.layout
    assert "holdstill" not in managed.layout.split("test-vg {")[1]  # as it was before our own snapshot


def test_a_volume_is_made_for_a_restore(imaged, bench, volumes, run, tmp_path):
    result = restore(bench, imaged)

    assert (result.target, result.proved) == (f"/dev/{NEW}", True)
    row = volumes.rows("lv_tags", "lv_size")[NEW.split("/")[1]]
    assert (row["lv_tags"], row["lv_size"]) == ("", "24.00m")
    run("cmp", result.target, bench.restored(imaged))
    run("e2fsck", "-f", "-n", result.target)
    assert not bench.open_lines()


@pytest.mark.slow
def test_a_group_without_room_is_told_before_anything_is_made(imaged, bench, volumes, refused):
    volumes.make("filler", None, None, "-l", "100%FREE")
    before = volumes.names()
    error = refused(restore, bench, imaged)
    assert isinstance(error, RestoreRefused)
    assert f"it has 0 bytes free, and the volume takes {24 * MIB}" in error.message
    assert volumes.names() == before


@pytest.mark.slow
def test_it_goes_again_if_the_plan_does_not_stand(imaged, bench, volumes, refused):
    before = volumes.names()
    for pack in Path(bench.url).glob("packs/*/*"):
        pack.unlink()
    assert isinstance(refused(restore, bench, imaged), Damaged)
    assert volumes.names() == before
    assert not bench.open_lines()


def test_what_a_killed_restore_made_is_removed(imaged, bench, volumes, monkeypatch):
    before = volumes.names()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(restoring, "draw_up", lambda *given, **named: os.kill(os.getpid(), signal.SIGKILL))
        restore(bench, imaged)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert volumes.names() == before | {NEW.split("/")[1]}
    volumes.make("decoy", "4m", None, "-L", "4m", "--addtag", "holdstill_new_0123456789abcdef")

    recovered = bench.recover()

    assert [each.gone for each in recovered] == [True]
    assert volumes.names() == before | {"decoy"}
    assert not bench.open_lines()


def test_an_old_image_of_lvm1_goes_to_lvm2(volumes, bench, run, tmp_path):
    path = tmp_path / "old.img"
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    run("mkfs.ext4", "-q", "-F", path)
    request = ImportRequest(file=str(path), manager="lvm1", client="5.3", mode=Mode.SNAPSHOT)
    image = bench.engine.import_image(bench.url, request, bench.talk).image
    target = volumes.make("target", "20m")

    bench.engine.restore(bench.url, RestoreRequest(image=image, to_volume=target), bench.talk)

    run("cmp", "--bytes", str(16 * MIB), target, bench.restored(image))
    run("e2fsck", "-f", "-n", target)


def test_a_disk_of_lvm1_is_refused_and_left_as_it_is(volumes, bench, run, refused):
    disk = volumes.make("old-disk", "8m")
    with open(disk, "r+b", buffering=0) as device:
        device.write(b"HM\x02\x00" + bytes(508))
    run("losetup", "--find", disk)  # no logical volume any more, but a disk like any other
    loop = run("losetup", "--noheadings", "--output", "NAME", "--associated", disk).strip()
    volumes.undo.callback(run, "losetup", "--detach", loop)

    for mode in (Mode.AUTO, Mode.OFFLINE, Mode.DYNAMIC):
        error = refused(bench.backup, loop, mode)
        assert isinstance(error, VolumeUnusable)
        assert "LVM1 is not supported any more" in error.message
    assert bench.images() == []
    assert bench.backup(loop, Mode.OFFLINE, as_raw=True).whole_volume_because == "asked for as the raw device"
