"""The map of exFAT volumes, against two oracles and against the destruction of all it calls unused."""

from __future__ import annotations

import re

import pytest

from holdstill import Engine
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_filesystems.exfat import usedmap
from holdstill_filesystems.exfat.bootregion import BootRegion
from holdstill_testing import sleuthkit, volumes
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite
from holdstill_testing.workbench import Workbench

pytestmark = pytest.mark.root


def mapped(path):
    with FileReader(path) as reader:
        used = answer(reader, plugin)
    assert isinstance(used, Extents), used
    return used


def boot_of(path):
    with FileReader(path) as reader:
        return BootRegion.read(reader)


def test_it_is_what_the_sleuth_kit_says(every_exfat):
    """To the cluster. What lies behind the last cluster is none, and we take it."""
    boot = boot_of(every_exfat.path)
    truth = sleuthkit.allocated(every_exfat.path, boot.sector_size)

    assert mapped(every_exfat.path).clip(0, boot.data_end) == truth.clip(0, boot.data_end)


def test_nothing_partclone_calls_used_is_missing(made_exfat, tmp_path):
    image, log = made_exfat("default"), tmp_path / "domain.log"
    volumes.run("partclone.exfat", "-q", "-F", "-D", "-L", tmp_path / "log", "-s", image.path, "-O", log)
    rows = re.findall(r"^(0x\w+)\s+(0x\w+)\s+\+$", log.read_text(), re.MULTILINE)
    theirs = Extents.of(*((int(start, 16), int(length, 16)) for start, length in rows))

    assert theirs.total > 0
    assert mapped(image.path).covers(theirs.clip(0, image.size))


def test_nothing_it_needs_is_outside_the_map(every_exfat, exfat_image, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; fsck.exfat and every file must not notice."""
    assert every_exfat.fsck() is None, "the image should be sound to begin with"

    destroyed = exfat_image(destroy(every_exfat.path, tmp_path / "destroyed.img", mapped(every_exfat.path)))

    assert every_exfat.missing_from(destroyed) is None


class TestPlantedBugs:
    """The destruction test must be able to fail."""

    @pytest.fixture(params=["default", "small-clusters"])
    def image(self, request, made_exfat):
        return made_exfat(request.param)

    def lost(self, image, exfat_image, tmp_path, monkeypatch, forgets):
        windows = usedmap._windows

        def forgetful(reader, boot, start, tail):
            used = union_of(windows(reader, boot, start, tail))
            yield used.difference(forgets(boot, used))

        monkeypatch.setattr(usedmap, "_windows", forgetful)
        destroyed = destroy(image.path, tmp_path / "destroyed.img", mapped(image.path))
        return image.missing_from(exfat_image(destroyed))

    @pytest.mark.parametrize("last", [False, True])
    def test_one_used_cluster_called_free(self, image, exfat_image, tmp_path, monkeypatch, last):
        def first_or_last(boot, used):
            clusters = used.clip(boot.data_start, boot.data_end)
            at = clusters.end - boot.cluster_size if last else int(clusters.starts[0])
            return Extents.of((at, boot.cluster_size))

        assert self.lost(image, exfat_image, tmp_path, monkeypatch, first_or_last)

    def test_all_that_lies_behind_the_metadata_forgotten(self, image, exfat_image, tmp_path, monkeypatch):
        def rest(boot, used):
            clusters = used.clip(boot.data_start, boot.data_end)
            start = int(clusters.starts[0]) + int(clusters.lengths[0]) // 2
            return Extents.of((start, boot.data_end - start))

        assert self.lost(image, exfat_image, tmp_path, monkeypatch, rest)

    def test_the_backup_of_the_boot_region_forgotten(self, image, exfat_image, tmp_path, monkeypatch):
        assert self.lost(image, exfat_image, tmp_path, monkeypatch, lambda *_: Extents.of((12 * 512, 12 * 512)))


@pytest.mark.parametrize("kind", ["small-clusters", "large-clusters-no-alignment"])
def test_full_circle(made_exfat, exfat_image, kind, tmp_path):
    """Out of the volume, through a repository, into a file."""
    image = made_exfat(kind)
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    bench = Workbench(engine, tmp_path / "repository", tmp_path / "state")
    bench.restore(bench.back_up(image.path).image, tmp_path / "restored.img")

    assert image.missing_from(exfat_image(tmp_path / "restored.img")) is None
    with engine.map(str(image.path)) as surveyed:
        assert surveyed.result.used_size < image.size


class TestExfatConformance(BlockMapSuite):
    @pytest.fixture(params=["small-clusters", "empty"])
    def small(self, request, made_exfat):
        return made_exfat(request.param)

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
        return sleuthkit.allocated(small.path, boot_of(small.path).sector_size).clip(0, small.size)
