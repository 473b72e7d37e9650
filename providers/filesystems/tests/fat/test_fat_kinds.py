"""The map of every kind of FAT volume, against two oracles and against the destruction of all it calls unused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from holdstill import Engine
from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.fat import usedmap
from holdstill_filesystems.fat.bootsector import BootSector
from holdstill_filesystems.fat.table import used_clusters
from holdstill_testing import sleuthkit, volumes
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite
from holdstill_testing.workbench import Workbench


def mapped(path):
    with FileReader(path) as reader:
        used = answer(reader, plugin)
    assert isinstance(used, Extents), used
    return used


def boot_of(path):
    with FileReader(path) as reader:
        return BootSector.read(reader)


def test_it_is_what_the_sleuth_kit_says(every_fat):
    """To the cluster. What lies behind the last cluster is none, and we take it."""
    boot = boot_of(every_fat.path)
    truth = sleuthkit.allocated(every_fat.path, boot.sector_size)

    assert mapped(every_fat.path).clip(0, boot.data_end) == truth.clip(0, boot.data_end)


@pytest.mark.parametrize(
    "kind", ["fat16", "fat16-odd-size", "fat32", "fat32-small", "fat32-full", "fat32-of-few-clusters"]
)
def test_nothing_partclone_calls_used_is_missing(made_fat, kind, tmp_path):
    """Its FAT12 is left out: there it calls clusters used that no file has."""
    image, log = made_fat(kind), tmp_path / "domain.log"
    volumes.run("partclone.fat", "-q", "-F", "-D", "-L", tmp_path / "log", "-s", image.path, "-O", log)
    rows = re.findall(r"^(0x\w+)\s+(0x\w+)\s+\+$", log.read_text(), re.MULTILINE)
    theirs = Extents.of(*((int(start, 16), int(length, 16)) for start, length in rows))

    assert theirs.total > 0
    assert mapped(image.path).covers(theirs.clip(0, image.size))


def test_nothing_it_needs_is_outside_the_map(every_fat, fat_image, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; fsck.fat and every file must not notice."""
    assert every_fat.fsck() is None, "the image should be sound to begin with"

    destroyed = fat_image(destroy(every_fat.path, tmp_path / "destroyed.img", mapped(every_fat.path)))

    assert every_fat.missing_from(destroyed) is None


def test_fat32_of_few_clusters_is_read_as_linux_reads_it(made_fat, fat_image, tmp_path):
    image = made_fat("fat32-of-few-clusters")

    assert boot_of(image.path).bits == 32
    assert fat_image(destroy(image.path, tmp_path / "destroyed.img", mapped(image.path))).fsck() is None


class TestPlantedBugs:
    """The destruction test must be able to fail. The directories would see some of the bugs before it does."""

    @pytest.fixture(params=["fat12", "fat16", "fat32-small"])
    def image(self, request, made_fat, monkeypatch):
        monkeypatch.setattr(usedmap, "check_starts", lambda *told: None)
        return made_fat(request.param)

    def lost(self, image, fat_image, tmp_path):
        return image.missing_from(fat_image(destroy(image.path, tmp_path / "destroyed.img", mapped(image.path))))

    @pytest.mark.parametrize("which", [0, -1])
    def test_one_used_cluster_called_free(self, image, fat_image, tmp_path, monkeypatch, which):
        def forgetful(reader, boot):
            used, free = used_clusters(reader, boot)
            bits = np.unpackbits(used, bitorder="little")
            bits[np.flatnonzero(bits)[which]] = 0
            return np.packbits(bits, bitorder="little"), free

        monkeypatch.setattr(usedmap, "used_clusters", forgetful)

        assert self.lost(image, fat_image, tmp_path)

    def test_the_second_half_forgotten(self, image, fat_image, tmp_path, monkeypatch):
        def forgetful(reader, boot):
            used, free = used_clusters(reader, boot)
            half = int(np.flatnonzero(used)[-1]) // 2
            return np.where(np.arange(used.size) < half, used, 0).astype(np.uint8), free

        monkeypatch.setattr(usedmap, "used_clusters", forgetful)

        assert self.lost(image, fat_image, tmp_path)

    def test_the_last_sector_before_the_clusters_forgotten(self, image, fat_image, tmp_path, monkeypatch):
        windows = usedmap._windows

        def forgetful(boot, used, tail):
            yield Extents.of((0, boot.table_start))
            yield from list(windows(boot, used, tail))[1:]

        monkeypatch.setattr(usedmap, "_windows", forgetful)

        assert self.lost(image, fat_image, tmp_path)


@pytest.mark.parametrize("kind", ["fat12", "fat16-shorter-than-its-volume", "fat32"])
def test_full_circle(made_fat, fat_image, kind, tmp_path):
    """Out of the volume, through a repository, into a file."""
    image = made_fat(kind)
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    bench = Workbench(engine, tmp_path / "repository", tmp_path / "state")
    bench.restore(bench.back_up(image.path).image, tmp_path / "restored.img")

    assert image.missing_from(fat_image(tmp_path / "restored.img")) is None
    with engine.map(str(image.path)) as surveyed:
        assert surveyed.result.used_size < image.size


class TestFatConformance(BlockMapSuite):
    @pytest.fixture(params=["fat12-one-copy", "fat12-floppy"])
    def small(self, request, made_fat):
        return made_fat(request.param)

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
