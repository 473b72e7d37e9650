"""The map of swap areas: their first page, in every page size and byte order, and never of a system in hibernation."""

from __future__ import annotations

import struct
import subprocess

import pytest

from holdstill import Engine
from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.swap import usedmap
from holdstill_testing import volumes
from holdstill_testing.destruction import answer, bounded, destroy, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite
from holdstill_testing.torture import dice, rounds
from holdstill_testing.workbench import Workbench

MIB = 1 << 20
PAGES = [4096, 8192, 16384, 32768, 65536]


def said(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


def swap_area(path, page=4096, size=8 * MIB):
    """Made by mkswap, with something swapped out."""
    volumes.sparse(path, size)
    volumes.run("mkswap", "-q", "-p", str(page), "-L", "name", path)
    with path.open("r+b") as image:
        image.seek(page + 4096)
        image.write(dice("swap").randbytes(size // 4))
    return path


def other_order(path):
    """As a machine of the other byte order would have made it."""
    with path.open("r+b") as image:
        image.seek(1024)
        numbers = struct.unpack("<3I", image.read(12))
        image.seek(1024)
        image.write(struct.pack(">3I", *numbers))
    return path


def names(path):
    told = subprocess.run(["blkid", "-p", "-o", "export", path], capture_output=True, text=True).stdout
    return {line for line in told.splitlines() if line.startswith(("LABEL=", "UUID=", "TYPE="))}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("order", [lambda path: path, other_order], ids=["little-endian", "big-endian"])
class TestEveryPageSizeAndByteOrder:
    def test_the_first_page_and_no_more(self, tmp_path, page, order):
        assert said(order(swap_area(tmp_path / "own.img", page))) == Extents.of((0, page))

    def test_nothing_it_needs_is_outside_the_map(self, tmp_path, page, order):
        """The destruction test, in which swap has nothing to lose but its name."""
        path = order(swap_area(tmp_path / "own.img", page))
        destroyed = destroy(path, tmp_path / "destroyed.img", said(path))

        assert names(destroyed) == names(path)
        assert len(names(path)) == 3
        assert said(destroyed) == said(path)


def test_the_destruction_test_can_fail(tmp_path, monkeypatch):
    path = swap_area(tmp_path / "own.img", 8192)
    monkeypatch.setattr(usedmap, "PAGES", (4096, 8192))
    destroyed = destroy(path, tmp_path / "destroyed.img", said(path).clip(0, 4096))

    assert names(destroyed) != names(path)


def test_an_area_of_before_1998(tmp_path):
    path = volumes.sparse(tmp_path / "own.img", 8 * MIB)
    with path.open("r+b") as image:
        image.write(b"\xff" * 200)
        image.seek(4086)
        image.write(b"SWAP-SPACE")

    assert said(path) == Extents.of((0, 4096))


def test_an_area_that_is_shorter_than_its_volume(tmp_path):
    path = swap_area(tmp_path / "own.img")
    with path.open("r+b") as image:
        image.truncate(8 * MIB + 12_345)

    assert said(path) == Extents.of((0, 4096), (8 * MIB, 12_345))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "mark", [b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"]
)
def test_a_system_in_hibernation_is_taken_whole(tmp_path, page, mark):
    path = swap_area(tmp_path / "own.img", page)
    with path.open("r+b") as image:
        image.seek(page - 10)
        image.write(mark.ljust(10, b"\0"))

    assert "hibernation" in said(path)


@pytest.mark.parametrize(
    ("at", "value", "because"),
    [
        (1024, 2, "unknown version"),
        (1024, 0, "unknown version"),
        (1028, 0, "last_page"),
        (1028, 2048, "the volume has only"),
        (1028, 0xFFFFFFFF, "the volume has only"),
        (1032, 638, "has room for"),
        (1032, 0xFFFFFFFF, "has room for"),
    ],
)
def test_a_header_that_makes_no_sense(tmp_path, at, value, because):
    path = swap_area(tmp_path / "own.img")
    with path.open("r+b") as image:
        image.seek(at)
        image.write(struct.pack("<I", value))

    assert because in said(path)


def test_mutations(tmp_path):
    path = swap_area(tmp_path / "own.img")
    with bounded(16 * MIB):
        for reader in mutations(path, Extents.of((1024, 12), (1500, 100), (4086, 10)), "swap", rounds(1000)):
            found = answer(reader, plugin)
            assert isinstance(found, str) or found.covers(Extents.of((0, 4096))), reader.patches


def test_full_circle(tmp_path):
    path = swap_area(tmp_path / "own.img", 65536)
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    bench = Workbench(engine, tmp_path / "repository", tmp_path / "state")
    bench.restore(bench.back_up(path).image, tmp_path / "restored.img")

    assert names(tmp_path / "restored.img") == names(path)


class TestSwapConformance(BlockMapSuite):
    @pytest.fixture
    def area(self, tmp_path):
        return swap_area(tmp_path / "own.img", 4096, MIB)

    @pytest.fixture
    def enumerate_used_blocks(self):
        return plugin.enumerate_used_blocks

    @pytest.fixture
    def facts(self, area):
        with FileReader(area) as reader:
            return plugin.recognise(reader)

    @pytest.fixture
    def image(self, area):
        return area.read_bytes()

    @pytest.fixture
    def truth(self):
        return Extents.of((0, 4096))
