"""What must not be written to, or not be read as it is, is refused before anything happens."""

from pathlib import Path

import pytest

from holdstill import Engine, Mode, RestoreRequest
from holdstill.errors import OwnGround, RestoreRefused, VolumeBusy
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing
from holdstill_testing.volumes import MIB, attached, digest, files_in, is_clean, mounted
from holdstill_testing.workbench import Workbench

pytestmark = pytest.mark.root


def test_a_mounted_target_is_refused_and_with_unmount_it_is_mounted_again(bench, volume, tmp_path):
    image = bench.back_up(volume).image
    target = volumes.ext4(tmp_path / "target", 64 * MIB)
    with attached(target) as device, mounted(device, "-o", "ro,noload") as place:
        before = digest(device)
        with pytest.raises(VolumeBusy, match=str(place)) as refused:
            bench.restore(image, device)
        assert "--unmount" in refused.value.next_step
        with pytest.raises(VolumeBusy):
            bench.restore(image, target)
        assert digest(device) == before
        restored = bench.restore(image, device, unmount=True)
        assert (restored.proved, restored.mounted) == (True, (str(place),))
        assert place.is_mount()
    assert is_clean(target)
    assert files_in(target) == files_in(volume)


def test_a_busy_mount_is_not_unmounted(bench, volume, tmp_path):
    image = bench.back_up(volume).image
    target = volumes.ext4(tmp_path / "target", 64 * MIB)
    with attached(target) as device, mounted(device) as place, (place / "open").open("w"):
        before = digest(target)
        with pytest.raises(VolumeBusy, match=str(place)):
            bench.restore(image, device, unmount=True)
        assert place.is_mount()
        assert digest(target) == before


@pytest.mark.parametrize("missing", [1, 512, 4096, 32 * MIB])
def test_a_smaller_target_is_refused_before_the_first_write(bench, volume, tmp_path, missing):
    image = bench.back_up(volume).image
    target = volumes.sparse(tmp_path / "target", 64 * MIB - missing)
    before = digest(target)
    with pytest.raises(RestoreRefused, match=f"{64 * MIB} bytes.*{64 * MIB - missing}"):
        bench.restore(image, target)
    assert digest(target) == before
    assert volumes.allocated(target) == 0


def test_a_smaller_device_is_refused_before_the_first_write(bench, volume, tmp_path):
    image = bench.back_up(volume).image
    target = volumes.ext4(tmp_path / "target", 32 * MIB)
    before = digest(target)
    with attached(target) as device, pytest.raises(RestoreRefused, match="too small"):
        bench.restore(image, device)
    assert digest(target) == before


def test_no_is_an_answer(bench, volume, tmp_path):
    class Refusing(Agreeing):
        def ask(self, question):
            assert question.id == "restore.overwrite"
            assert question.facts["target"] == str(target)
            assert "ext4" in question.facts["now"]
            return "no"

    image = bench.back_up(volume).image
    target = volumes.ext4(tmp_path / "target", 64 * MIB)
    before = digest(target)
    with pytest.raises(RestoreRefused):
        bench.engine.restore(bench.url, RestoreRequest(image, to_volume=str(target)), Refusing())
    assert digest(target) == before


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.OFFLINE])
@pytest.mark.parametrize("named_by", ["device", "file", "mount point"])
def test_a_mounted_volume_is_not_read_as_it_is_unasked(bench, volume, mode, named_by):
    with attached(volume) as device, mounted(device) as place:
        named = {"device": device, "file": volume, "mount point": place}[named_by]
        with pytest.raises(VolumeBusy, match=str(place)):
            bench.back_up(named, mode=mode)
    assert bench.engine.images(bench.url) == []
    assert bench.packs() == {}
    assert bench.nothing_is_held()


def test_a_file_under_a_loop_device_is_in_use(bench, volume):
    with attached(volume) as device, pytest.raises(VolumeBusy, match=Path(device).name):
        bench.back_up(volume, mode=Mode.OFFLINE)
    assert bench.back_up(volume, mode=Mode.OFFLINE).image


def test_a_volume_is_not_restored_over_the_repository_it_comes_from(bench, volume, tmp_path):
    ground = volumes.ext4(tmp_path / "ground", 256 * MIB)
    with attached(ground) as device, mounted(device) as place:
        engine = Engine(state=str(bench.state))
        engine.init(str(place / "repository"))
        there = Workbench(engine, place / "repository", bench.state)
        image = there.back_up(volume).image
        for target in (device, ground):
            with pytest.raises((RestoreRefused, OwnGround), match="repository"):
                there.restore(image, target, unmount=True)
        assert place.is_mount()
        there.restore(image, tmp_path / "elsewhere")
