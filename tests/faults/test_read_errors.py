"""A range of the volume that cannot be read: an error that names it, or zeros that are recorded; never its end."""

from __future__ import annotations

import os

import attrs
import pytest

from holdstill import Engine, Mode, OnReadError
from holdstill.errors import ReadFault
from holdstill.model.extents import Extents
from holdstill.spi.volume import Volume
from holdstill_testing import volumes
from holdstill_testing.between import PutBetween
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.torture import dice, rounds
from holdstill_testing.volumes import MIB, attached, digest
from holdstill_testing.workbench import Workbench

SIZE = 8 * MIB + 4096 * 3


def with_bad_ranges(scene, content, *bad):
    """The same workbench; the one volume that it knows has ranges that cannot be read."""
    broken = MemoryVolume(content, unreadable=Extents.of(*bad))

    def between(volume: Volume) -> Volume:
        if volume.facts.path != str(scene.volume):
            return volume
        broken.facts = attrs.evolve(volume.facts, size=len(content))
        return broken

    engine = Engine(PutBetween(volume=between), state=str(scene.bench.state))
    return Workbench(engine, scene.bench.repository, scene.bench.state)


@pytest.fixture
def here(scene, tmp_path):
    return scene.copied(tmp_path / "copy")


BAD = {
    "the first block": (0, 4096),
    "one sector": (5 * 4096 + 512, 512),
    "across chunks": ((256 << 10) - 4096, 8192),
    "a long run": (2 * MIB, 3 * MIB),
    "the last bytes": (SIZE - 4096, 4096),
    "all of it": (0, SIZE),
}


@pytest.mark.parametrize("where", BAD)
def test_by_default_the_backup_fails_and_says_where(here, where):
    bad, length = BAD[where]
    bench = with_bad_ranges(here, dice("bad").randbytes(SIZE), (bad, length))
    with pytest.raises(ReadFault) as fault:
        bench.back_up(here.volume)
    assert bad <= fault.value.offset < bad + length
    assert [image.id for image in bench.engine.images(bench.url)] == [here.image]
    assert bench.nothing_is_held()


@pytest.mark.parametrize("where", BAD)
def test_zero_images_the_rest_and_records_what_is_missing(here, where, tmp_path):
    content, (bad, length) = dice("bad").randbytes(SIZE), BAD[where]
    bench = with_bad_ranges(here, content, (bad, length))
    result = bench.back_up(here.volume, on_read_error=OnReadError.ZERO)
    unread = Extents.of(*((each.offset, each.length) for each in result.unread))
    assert not Extents.of((bad, length)).difference(unread)
    assert unread == Extents.of((bad, length)).align(4096, SIZE), "no more than the block that the bad bytes are in"
    assert result.warnings
    assert bench.engine.show(bench.url, result.image).unread == result.unread
    assert result.sizes.volume_size == SIZE
    due = bytearray(content)
    for offset, count in unread:
        due[offset : offset + count] = bytes(count)
    restored = bench.restore(result.image, tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == due
    assert restored.warnings


def test_bad_ranges_anywhere(here, tmp_path):
    draw = dice("anywhere")
    for number in range(rounds(50)):
        content = draw.randbytes(SIZE)
        bad = Extents.of(*sorted((draw.randrange(SIZE // 512 - 64) * 512, 512 * draw.randrange(1, 64)) for _ in "1234"))
        bench = with_bad_ranges(here, content, *bad)
        result = bench.back_up(here.volume, on_read_error=OnReadError.ZERO)
        bench.restore(result.image, tmp_path / f"restored{number}")
        due = bytearray(content)
        for offset, count in bad.align(4096, SIZE):
            due[offset : offset + count] = bytes(count)
        assert (tmp_path / f"restored{number}").read_bytes() == due
        (tmp_path / f"restored{number}").unlink()


@pytest.mark.root
@pytest.mark.parametrize("mode", [Mode.OFFLINE, Mode.DYNAMIC])
def test_a_device_whose_ground_is_gone(scene, here, tmp_path, mode):
    """A loop device on a file that was cut short: real I/O errors, from the kernel."""
    volume = volumes.noise(tmp_path / "volume", 8 * MIB, dice("cut"))
    content = volume.read_bytes()
    with attached(volume) as device:
        os.truncate(volume, 5 * MIB)
        with pytest.raises(ReadFault) as fault:
            here.bench.back_up(device, mode=mode)
        assert fault.value.offset + fault.value.length > 5 * MIB
        result = here.bench.back_up(device, mode=mode, on_read_error=OnReadError.ZERO)
    assert result.sizes.volume_size == 8 * MIB
    assert [(each.offset, each.length) for each in result.unread] == [(5 * MIB, 3 * MIB)]
    here.bench.restore(result.image, tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == content[: 5 * MIB] + bytes(3 * MIB)
    assert digest(tmp_path / "restored") != digest(volume)


def test_a_bad_block_in_the_file_systems_own_map_takes_the_whole_volume(here, tmp_path):
    """What the block map cannot tell is copied, not left out."""
    content = here.volume.read_bytes()
    bench = with_bad_ranges(here, content, (2048, 512))
    result = bench.back_up(here.volume, on_read_error=OnReadError.ZERO)
    assert result.whole_volume_because
    bench.restore(result.image, tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == bytes(4096) + content[4096:]
