"""The map of every kind of ext file system, against dumpe2fs, and against the destruction of all it calls unused."""

from __future__ import annotations

import pytest

from holdstill.model.extents import Extents


def test_it_is_what_dumpe2fs_says(every_kind):
    """To the block. What lies behind the file system is no business of dumpe2fs."""
    truth = every_kind.truth()
    claimed = every_kind.map()
    end = int(every_kind.header()["Block count"]) * int(every_kind.header()["Block size"])

    assert claimed.clip(0, end) == truth


def test_what_lies_behind_the_file_system_is_taken_along_while_it_is_short(of_kind):
    image = of_kind("ext4-short-last-group")
    end = 16999 * 1024

    assert image.map().clip(end, image.size) == Extents.of((end, image.size - end))


def test_nothing_it_needs_is_outside_the_map(every_kind, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; e2fsck and every file must not notice."""
    assert every_kind.fsck() is None, "the image should be sound to begin with"

    destroyed = every_kind.destroyed(tmp_path / "destroyed.img", every_kind.map())

    assert every_kind.missing_from(destroyed) is None


class TestPlantedBugs:
    """The destruction test must be able to fail."""

    @pytest.fixture
    def image(self, of_kind):
        return of_kind("ext2-every-group-a-copy")

    def lost(self, image, tmp_path, forgotten):
        used = image.map()
        assert used.covers(forgotten)
        return image.missing_from(image.destroyed(tmp_path / "destroyed.img", used.difference(forgotten)))

    def test_one_block_of_a_file_called_free(self, image, tmp_path, e2fs):
        first = int(e2fs("debugfs", "-R", "blocks /dir1/file16", image.path).split()[0])

        assert self.lost(image, tmp_path, Extents.of((first * 1024, 1024))) == "files differ"

    def test_the_last_group_forgotten(self, image, tmp_path):
        start = (1 + 1024 * 23) * 1024

        assert self.lost(image, tmp_path, image.map().clip(start, image.size))

    def test_block_0_forgotten(self, image, tmp_path):
        assert self.lost(image, tmp_path, Extents.of((0, 1024))) == "the boot area differs"

    def test_copies_of_the_descriptors_forgotten(self, image, tmp_path):
        copies = [block + 1 for block in image.copies() if block > 1]

        lost = self.lost(image, tmp_path, Extents.of(*((block * 1024, 1024) for block in copies)))

        assert lost == "a copy of the superblock or descriptors is lost"
