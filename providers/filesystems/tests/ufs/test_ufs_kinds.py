"""The map of UFS1 of every kind, against The Sleuth Kit and against the destruction of all it calls unused."""

from __future__ import annotations

import numpy as np
import pytest

from holdstill import Engine
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_filesystems.ufs import usedmap
from holdstill_testing import sleuthkit
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite
from holdstill_testing.workbench import Workbench


def mapped(path):
    with FileReader(path) as reader:
        used = answer(reader, plugin)
    assert isinstance(used, Extents), used
    return used


def test_it_is_what_the_sleuth_kit_says(every_ufs):
    """To the fragment."""
    assert mapped(every_ufs.path) == sleuthkit.allocated(every_ufs.path, every_ufs.field("fsize"))


def test_the_sleuth_kit_finds_files(every_ufs):
    """Or the comparison of files would be one of nothing."""
    assert len(sleuthkit.contents(every_ufs.path)) >= 10


def test_nothing_it_needs_is_outside_the_map(every_ufs, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; no file and no map must notice."""
    destroyed = destroy(every_ufs.path, tmp_path / "destroyed.img", mapped(every_ufs.path))

    assert every_ufs.missing_from(destroyed) is None


class TestPlantedBugs:
    """The destruction test must be able to fail."""

    @pytest.fixture(params=["bsd-big", "sparc-moved-metadata", "x86"])
    def image(self, request, made_ufs):
        return made_ufs(request.param)

    def lost(self, image, tmp_path, monkeypatch, forgets):
        windows = usedmap._windows

        def forgetful(*arguments):
            used = union_of(windows(*arguments))
            yield used.difference(forgets(used))

        monkeypatch.setattr(usedmap, "_windows", forgetful)
        return image.missing_from(destroy(image.path, tmp_path / "destroyed.img", mapped(image.path)))

    def test_one_block_of_a_file_called_free(self, image, tmp_path, monkeypatch):
        """The last one in use of the first group, in which there are files."""
        block = image.field("fsize") * image.field("frag")

        def end_of_the_files(used):
            files = used.clip(0, image.field("fpg") * image.field("fsize"))
            return Extents.of((files.end - block, block))

        assert self.lost(image, tmp_path, monkeypatch, end_of_the_files)

    def test_the_last_group_forgotten(self, image, tmp_path, monkeypatch):
        start = (image.field("ncg") - 1) * image.field("fpg") * image.field("fsize")

        assert self.lost(image, tmp_path, monkeypatch, lambda _: Extents.of((max(start, 1), image.size)))

    def test_the_boot_area_forgotten(self, image, tmp_path, monkeypatch):
        assert self.lost(image, tmp_path, monkeypatch, lambda _: Extents.of((0, 512)))

    def test_bits_taken_for_their_opposite(self, image, tmp_path, monkeypatch):
        """Where one bit of each byte is read the wrong way round."""
        from_packed = usedmap.from_packed
        monkeypatch.setattr(
            usedmap, "from_packed", lambda packed, unit, base: from_packed(packed & np.uint8(0x7F), unit, base)
        )
        with FileReader(image.path) as reader:
            assert "calls metadata" in answer(reader, plugin)


@pytest.mark.parametrize("kind", ["bsd-little", "sparc-moved-metadata"])
def test_full_circle(made_ufs, kind, tmp_path):
    """Out of the volume, through a repository, into a file."""
    image = made_ufs(kind)
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    bench = Workbench(engine, tmp_path / "repository", tmp_path / "state")
    bench.restore(bench.back_up(image.path).image, tmp_path / "restored.img")

    assert image.missing_from(tmp_path / "restored.img") is None
    with engine.map(str(image.path)) as surveyed:
        assert surveyed.result.used_size < image.size


class TestUfsConformance(BlockMapSuite):
    @pytest.fixture(params=["bsd-full", "bsd-little"])
    def small(self, request, made_ufs):
        return made_ufs(request.param)

    @pytest.fixture
    def enumerate_used_blocks(self):
        return plugin.enumerate_used_blocks

    @pytest.fixture
    def facts(self, small):
        with FileReader(small.path) as reader:
            return plugin.recognise(reader)

    @pytest.fixture
    def image(self, small):
        return small.path.read_bytes()

    @pytest.fixture
    def truth(self, small):
        return sleuthkit.allocated(small.path, small.field("fsize"))
