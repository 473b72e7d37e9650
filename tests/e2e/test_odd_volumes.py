"""Volumes that are no ext4, or of odd sizes, or oddly named: taken whole, and equal when they come back."""

import os
import shutil
import struct
from pathlib import Path

import pytest

from holdstill_testing import volumes
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, attached, digest, files_in, mounted, run


def assert_it_comes_back(bench, volume, tmp_path):
    result = bench.back_up(volume)
    assert bench.restore(result.image, tmp_path / "restored").proved
    assert digest(tmp_path / "restored") == digest(volume)
    assert bench.findings() == ()
    return result


@pytest.mark.parametrize("size", [1, 511, 512, 4096, 65537, MIB - 1, MIB + 512, 262144 * 5 + 1, 3 * MIB + 7 * 512])
def test_noise_of_any_size_comes_back(bench, tmp_path, size):
    volume = volumes.noise(tmp_path / "noise", size, dice(f"odd {size}"))
    result = assert_it_comes_back(bench, volume, tmp_path)
    assert result.whole_volume_because
    assert result.sizes.used_size == result.sizes.volume_size == size
    larger = volumes.noise(tmp_path / "larger", size + 100, dice("larger"))
    tail = larger.read_bytes()[size:]
    bench.restore(result.image, larger)
    assert larger.read_bytes() == volume.read_bytes() + tail


@pytest.mark.parametrize("size", [1, 4096, 64 * MIB])
def test_nothing_but_a_hole_comes_back_as_a_hole(bench, tmp_path, size):
    result = assert_it_comes_back(bench, volumes.sparse(tmp_path / "hole", size), tmp_path)
    assert result.new_chunks == 0
    assert volumes.allocated(tmp_path / "restored") == 0


def test_an_empty_file_is_an_image_of_nothing(bench, tmp_path):
    empty = volumes.sparse(tmp_path / "empty", 0)
    assert_it_comes_back(bench, empty, tmp_path)


@pytest.mark.root
@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="needs xfsprogs")
def test_an_xfs_comes_back(bench, tmp_path):
    volume = volumes.sparse(tmp_path / "xfs", 320 * MIB)
    run("mkfs.xfs", "-q", volume)
    with mounted(volume) as place:
        volumes.ageing(place, dice("xfs"), files=30)
        before = volumes.hashes(place)
    due = bench.due(volume)
    result = bench.back_up(volume)
    assert bench.restore(result.image, tmp_path / "restored").proved
    assert digest(tmp_path / "restored") == due
    assert bench.findings() == ()
    assert result.volume.filesystem.name == "xfs"
    assert result.sizes.used_size < result.sizes.volume_size // 2
    with mounted(tmp_path / "restored", "-o", "ro,norecovery,nouuid") as place:
        assert volumes.hashes(place) == before


@pytest.mark.parametrize("gap_size", [0, 1, 4096, MIB, 1 << 40])
def test_whatever_the_gap_size_the_files_come_back(bench, volume, tmp_path, gap_size):
    due = digest(volume) if gap_size == 0 else bench.due(volume)
    result = bench.back_up(volume, gap_size=gap_size)
    assert (result.sizes.used_size == result.sizes.volume_size) == (gap_size == 0)
    bench.restore(result.image, tmp_path / "restored")
    assert digest(tmp_path / "restored") == due


@pytest.mark.parametrize(
    "options",
    [
        ("-b", "1024"),
        ("-b", "4096", "-O", "bigalloc", "-C", "65536"),
        ("-O", "^64bit"),
        ("-O", "^has_journal"),
        ("-G", "4"),
    ],
    ids=" ".join,
)
@pytest.mark.root
def test_every_kind_of_ext4_comes_back(bench, tmp_path, files, options):
    volume = volumes.ext4(tmp_path / "volume", 96 * MIB + 3 * 1024, *options, content=files)
    due = bench.due(volume)
    result = bench.back_up(volume)
    bench.restore(result.image, tmp_path / "restored")
    assert digest(tmp_path / "restored") == due
    assert volumes.is_clean(tmp_path / "restored")
    assert files_in(tmp_path / "restored") == files_in(volume)


@pytest.mark.parametrize(
    "name", ["with space", "newline\nin it", "Größe", os.fsdecode(b"not \xff text"), "-n", "x" * 200]
)
def test_a_volume_may_have_any_name(bench, tmp_path, name):
    volume = volumes.noise(tmp_path / name, 8192, dice("name"))
    result = bench.back_up(volume)
    assert bench.engine.show(bench.url, result.image).volume.path == str(volume)
    bench.restore(result.image, tmp_path / f"to {name}")
    assert digest(tmp_path / f"to {name}") == digest(volume)


@pytest.mark.parametrize("chunk_size", [64 << 10, 4 << 20])
def test_the_smallest_and_the_largest_chunks_come_back(bench, volume, tmp_path, chunk_size):
    url = str(tmp_path / "another")
    bench.engine.init(url, chunk_size=chunk_size)
    another = type(bench)(bench.engine, Path(url), bench.state)
    assert another.back_up(volume).sizes.stored_size > 0
    another.restore("latest", tmp_path / "restored")
    assert digest(tmp_path / "restored") == another.due(volume)
    assert another.findings() == ()


@pytest.mark.root
def test_a_whole_disk_with_a_partition_table_comes_back(bench, tmp_path, volume):
    disk = volumes.noise(tmp_path / "disk", 80 * MIB, dice("disk"))
    entry = struct.pack("<B3sB3sII", 0, b"", 0x83, b"", MIB // 512, 64 * MIB // 512)
    with disk.open("r+b") as file:
        file.write(bytes(446) + entry.ljust(64, b"\0") + b"\x55\xaa")
        file.seek(MIB)
        file.write(volume.read_bytes())
    assert_it_comes_back(bench, disk, tmp_path)
    with attached(tmp_path / "restored", "--offset", str(MIB), "--sizelimit", str(64 * MIB)) as device:
        assert files_in(device) == files_in(volume)
