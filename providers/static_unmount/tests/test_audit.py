"""The map of a mounted file system that stands still, beside what the kernel says of it at the same instant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs
import pytest

from holdstill import Engine
from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents, union_of
from holdstill.model.volume import Mode
from holdstill_cli.main import main
from holdstill_filesystems import plugin as filesystems
from holdstill_testing.torture import dice
from holdstill_testing.workbench import Workbench

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture
def bench(tmp_path):
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    return Workbench(engine, tmp_path / "repository", tmp_path / "state")


@pytest.fixture(params=["ext4", "xfs"])
def filled(request, device, mount):
    """A mounted file system with files, some of them gone again."""
    loop = device(request.param)
    point = Path(mount(loop))
    chance = dice("audit")
    for index in range(40):
        (point / f"file{index}").write_bytes(chance.randbytes(chance.randrange(200_000)))
    for index in range(0, 40, 3):
        (point / f"file{index}").unlink()
    os.sync()
    return loop


def image_of(bench, volume, mode):
    return bench.engine.show(bench.url, bench.back_up(volume, mode=mode).image)


@pytest.mark.parametrize(
    ("mode", "by"),
    [
        (Mode.STATIC, "GETFSMAP of the file system, mounted read-only"),
        (Mode.FREEZE, "GETFSMAP of the file system, frozen"),
    ],
)
def test_the_kernel_confirms_what_the_map_leaves_out(bench, filled, mode, by):
    image = image_of(bench, filled, mode)

    assert image.whole_volume_because is None
    assert image.audit.by == by
    assert image.audit.ranges > 0
    assert 8 * MIB < image.audit.size <= image.sizes.volume_size - image.sizes.used_size


@pytest.mark.parametrize("mode", [Mode.STATIC, Mode.FREEZE])
def test_a_wrong_map_is_not_believed(bench, filled, mode, monkeypatch):
    """A reader that forgets a quarter of the volume behind the first MiB: files, and metadata of the second group."""

    used_blocks = filesystems._used_blocks

    def forgetful(reader):
        found = used_blocks("ext4" if reader.size < 64 * MIB else "xfs")(reader)
        used = union_of(found.windows)
        return BlockMap(found.block_size, [used.difference(Extents.of((MIB, reader.size // 4)))], found.notes)

    monkeypatch.setattr(filesystems, "_used_blocks", lambda name: forgetful)

    image = image_of(bench, filled, mode)

    assert "the block map is not believed" in image.whole_volume_because
    assert "where the kernel says that something is" in image.whole_volume_because
    assert image.audit is None
    assert image.sizes.used_size == image.sizes.volume_size


def test_what_nobody_can_confirm_is_not_audited(bench, device, mount):
    """Btrfs answers no such question; and what is not mounted has nobody to ask."""
    unmounted = device("ext4")
    btrfs = device("btrfs", "other.img")
    mount(btrfs)

    assert image_of(bench, unmounted, Mode.OFFLINE).audit is None
    assert image_of(bench, btrfs, Mode.STATIC).audit is None


def test_a_file_under_a_loop_device_is_not_audited(bench, device, mount, tmp_path):
    """The loop device may begin anywhere in it: what the kernel counts is not what the map counts."""
    mount(device("ext4"))

    image = image_of(bench, tmp_path / "volume.img", Mode.STATIC)

    assert image.whole_volume_because is None
    assert image.audit is None


def test_show_tells_the_evidence(bench, filled, capsys):
    image = image_of(bench, filled, Mode.STATIC)

    assert main(["show", "--bytes", "--repo", bench.url, image.id]) == 0
    shown = capsys.readouterr().out
    assert main(["show", "--json", "--repo", bench.url, image.id]) == 0

    assert f"audited: {image.audit.size} in {image.audit.ranges} ranges are unused, says {image.audit.by}" in shown
    assert json.loads(capsys.readouterr().out)["audit"] == attrs.asdict(image.audit)
