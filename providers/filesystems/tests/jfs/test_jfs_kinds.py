"""The map of every kind of JFS, against jfs_fsck and a walk through all inodes, and against destruction."""

from __future__ import annotations

import re

import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems.jfs import allocation

BLOCK = 4096


def end_of(image) -> int:
    """Where the file system ends: the blocks of its map, and the work area and log behind these."""
    return int(max(image.walked().ends))


def test_it_is_what_the_inodes_and_fixed_places_name(every_kind):
    """To the block: two roads that share nothing. What lies behind the file system no inode names."""
    claimed, end = every_kind.map(), end_of(every_kind)

    assert claimed.clip(0, end) == every_kind.walked()
    assert claimed.clip(end, every_kind.size) in (Extents.none(), Extents.of((end, every_kind.size - end)))


def test_it_is_as_much_as_fsck_says(every_kind):
    """fsck counts free blocks; those of a deleted file that was still open when the image was taken it would free."""
    told = dict(re.findall(r"^(Block count|Free block count): +(\d+)", every_kind.fsck(), re.MULTILINE))
    deleted = 59 if "dirty but is marked clean" in every_kind.fsck() else 0

    used = every_kind.map().clip(0, int(told["Block count"]) * BLOCK).total

    assert used == (int(told["Block count"]) - int(told["Free block count"]) + deleted) * BLOCK


def test_the_walk_reads_what_the_kernel_read(every_aged):
    """So that the destruction test asks the right one."""
    files = every_aged.walker.files

    assert every_aged.sums
    assert {inode: files.get(inode) for inode in every_aged.sums} == every_aged.sums


def test_nothing_it_needs_is_outside_the_map(every_kind, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; fsck and every file must not notice."""
    destroyed = every_kind.destroyed(tmp_path / "destroyed.img", every_kind.map())

    assert every_kind.missing_from(destroyed) is None


class TestPlantedBugs:
    """The destruction test must be able to fail."""

    @pytest.fixture
    def lost(self, jfs, tmp_path):
        def lose(name: str) -> str | None:
            image = jfs(name)
            return image.missing_from(image.destroyed(tmp_path / "destroyed.img", image.map()))

        return lose

    def test_one_block_of_a_file_called_free(self, lost, monkeypatch):
        real = allocation.from_packed

        def short(packed, unit, base):
            runs = real(packed, unit, base)
            return runs.difference(Extents.of((int(runs.starts[len(runs) // 2]), unit)))

        monkeypatch.setattr(allocation, "from_packed", short)

        assert lost("full") == "files differ"

    def test_the_last_group_with_files_forgotten(self, lost, monkeypatch):
        monkeypatch.setattr(allocation, "_BATCH", 1)
        real = allocation.AllocationMap._used_in
        last = 12 * 131072 // allocation.PER_BITMAP

        def forgetful(self, rows, first, must):
            return Extents.none() if first == last else real(self, rows, first, must)

        monkeypatch.setattr(allocation.AllocationMap, "_used_in", forgetful)

        assert lost("wide")

    def test_bits_in_another_order(self, lost, monkeypatch):
        monkeypatch.setattr(allocation, "_BACKWARDS", allocation._BACKWARDS[allocation._BACKWARDS])

        assert lost("fragmented")

    def test_only_the_persistent_bitmap_looked_at(self, lost, monkeypatch):
        """A deleted file that is still open has its blocks in the other one only; fsck does not miss them, a walk
        does.
        """
        monkeypatch.setattr(allocation, "_WORKING", allocation._PERSISTENT)
        monkeypatch.setattr(allocation.AllocationMap, "_checked", lambda *_: allocation.np.zeros(1, dtype="i1"))
        monkeypatch.setattr(allocation.AllocationMap, "_tree_root", lambda *_: 0)

        assert lost("frozen") == "files differ"

    def test_the_log_and_the_work_area_forgotten(self, jfs, tmp_path):
        image = jfs("filled")
        behind = image.walked().clip(5836 * BLOCK, image.size)

        destroyed = image.destroyed(tmp_path / "destroyed.img", image.map().difference(behind))

        assert behind
        assert image.missing_from(destroyed) == "the boot area, the log or a copy differs"
