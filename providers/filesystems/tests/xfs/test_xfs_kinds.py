"""The map of every kind of XFS, against xfs_db, the kernel and partclone, and against the destruction of the rest."""

from __future__ import annotations

import re
import shutil

import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.xfs import usedmap
from holdstill_testing import volumes

pytestmark = pytest.mark.root


def test_it_is_what_xfs_db_says(every_xfs):
    """To the block. What lies behind the file system is no business of xfs_db."""
    truth = every_xfs.truth()
    block, blocks, _, _ = every_xfs.geometry()

    assert every_xfs.map(plugin).clip(0, block * blocks) == truth


def test_nothing_it_needs_is_outside_the_map(every_xfs, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; neither xfs_repair nor a file must notice."""
    destroyed = every_xfs.destroyed(tmp_path / "destroyed.img", every_xfs.map(plugin))

    assert every_xfs.missing_from(destroyed) is None


@pytest.mark.parametrize("name", ["default", "shattered", "reverse-mappings"])
def test_it_is_what_the_kernel_says(made_xfs, xfs, name):
    """GETFSMAP on a read-only mount."""
    image = made_xfs(name)
    with volumes.mounted(image.path, "-o", "ro,norecovery,nouuid") as point:
        told = xfs("xfs_io", "-r", "-c", "fsmap", point)
    free = re.findall(r"\[(\d+)\.\.(\d+)\]: free space", told)

    listed = Extents.of(*((int(first) * 512, (int(last) + 1 - int(first)) * 512) for first, last in free))

    assert listed
    assert image.map(plugin) == listed.complement(image.size)


@pytest.mark.skipif(shutil.which("partclone.xfs") is None, reason="needs partclone")
@pytest.mark.parametrize("name", ["default", "shattered", "1k", "v4"])
def test_partclone_calls_nothing_used_that_is_outside_the_map(made_xfs, xfs, tmp_path, name):
    image = made_xfs(name)
    xfs("partclone.xfs", "-D", "-s", image.path, "-o", tmp_path / "domain", "-L", tmp_path / "log")
    told = re.findall(r"^(0x[0-9A-F]+)\s+(0x[0-9A-F]+)\s+\+", (tmp_path / "domain").read_text(), re.MULTILINE)
    used = Extents.of(*((int(start, 16), int(length, 16)) for start, length in told))

    assert used.total > 1 << 20
    assert not used.difference(image.map(plugin))


class TestPlantedBugs:
    """The destruction test must be able to fail."""

    @pytest.fixture
    def lost(self, made_xfs, tmp_path, monkeypatch):
        """What the destruction test finds when the parser forgets these bytes."""

        def plant(name, forgotten):
            image = made_xfs(name)
            assert image.map(plugin).covers(forgotten)
            honest = usedmap.used_in_groups
            monkeypatch.setattr(
                usedmap,
                "used_in_groups",
                lambda *args, **more: (window.difference(forgotten) for window in honest(*args, **more)),
            )
            return image.missing_from(image.destroyed(tmp_path / "destroyed.img", image.map(plugin)))

        return plant

    def block(self, image, group, place):
        size, _, in_group, _ = image.geometry()
        return Extents.of(((group * in_group + place) * size, size))

    def test_one_block_of_a_file_called_free(self, made_xfs, lost):
        image = made_xfs("v4")
        group, place = re.search(r"startblock \d+ \((\d+)/(\d+)\)", image.db("path /files/file24", "bmap")).groups()

        assert lost("v4", self.block(image, int(group), int(place))) == "files differ"

    def test_the_last_group_forgotten(self, made_xfs, lost):
        image = made_xfs("default")
        size, _, in_group, groups = image.geometry()
        last = image.map(plugin).clip((groups - 1) * in_group * size, image.size)

        assert "xfs_repair objects" in lost("default", last)

    @pytest.mark.parametrize("tree", ["bno", "cnt"])
    def test_a_leaf_of_a_tree_of_free_space_forgotten(self, made_xfs, lost, tree):
        image = made_xfs("shattered")
        roots = [image.fields(f"agf {group}", f"{tree}root", f"{tree}level") for group in range(image.geometry()[3])]
        group = next(number for number, found in enumerate(roots) if found[f"{tree}level"] > 1)
        leaf = int(
            re.search(r"ptrs\[1-\d+\] = 1:(\d+)", image.db(f"agf {group}", f"addr {tree}root", "p ptrs")).group(1)
        )

        assert "xfs_repair objects" in lost("shattered", self.block(image, group, leaf))

    def test_the_log_of_a_frozen_one_forgotten(self, made_xfs, lost):
        log = Extents.of(made_xfs("frozen").log())

        assert "it cannot be mounted" in lost("frozen", log)
