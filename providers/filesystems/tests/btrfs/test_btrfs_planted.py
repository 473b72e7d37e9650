"""Bugs planted in the parser: its own sums notice them; and with those off, the destruction test does."""

from __future__ import annotations

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.btrfs import usedmap
from holdstill_filesystems.btrfs.allocated import Allocated
from holdstill_filesystems.btrfs.chunkmap import ChunkMap
from holdstill_filesystems.btrfs.superblock import Superblock
from holdstill_testing.destruction import answer
from holdstill_testing.fakes.file_reader import FileReader

pytestmark = pytest.mark.root


@pytest.fixture
def image(made):
    return made("default")


@pytest.fixture
def trusting(monkeypatch):
    """The sums are believed."""
    monkeypatch.setattr(Allocated, "_check_used", lambda *_: None)
    monkeypatch.setattr(Allocated, "_check_total", lambda *_: None)


@pytest.fixture
def lost(image, tmp_path):
    """What the destruction test says of the parser as it is now."""
    before = image.map()

    def lose() -> str | None:
        now = image.map()
        assert before.covers(now), "the bug should forget, not add"
        assert now != before, "nothing was forgotten"
        return image.missing_from(image.destroyed(tmp_path / "destroyed.img", now))

    return lose


def without(monkeypatch, chosen) -> None:
    """The extent tree is read without the entries that ``chosen`` finds in its tables."""
    real = Allocated._runs
    monkeypatch.setattr(Allocated, "_runs", lambda self, table: real(self, table[~chosen(table)]))


def the_last_of_a_kind(kind):
    def chosen(table):
        mine = table["type"] == kind
        return mine & (np.cumsum(mine) == mine.sum())

    return chosen


@pytest.mark.parametrize("kind", [168, 169])
def test_one_extent_called_free(monkeypatch, trusting, lost, kind):
    """168: of a file; 169: a tree block, perhaps the very roots that are otherwise added in any case."""
    monkeypatch.setattr(usedmap, "_roots", lambda *_: Extents.none())
    without(monkeypatch, the_last_of_a_kind(kind))

    assert lost()


def test_one_extent_called_free_is_noticed_by_the_sums(monkeypatch, image):
    without(monkeypatch, the_last_of_a_kind(168))

    with FileReader(image.path) as reader:
        assert "bytes are allocated in the chunk at logical" in answer(reader, plugin)


def test_the_last_sector_of_each_extent_called_free(monkeypatch, trusting, lost):
    real = Allocated._runs

    def shorter(self, table):
        starts, lengths = real(self, table)
        return starts, lengths - 4096 * (lengths > 4096)

    monkeypatch.setattr(Allocated, "_runs", shorter)

    assert lost()


def test_the_last_chunk_forgotten(monkeypatch, trusting, lost):
    real = ChunkMap.stripes

    def fewer(self):
        places, which = real(self)
        keep = (which != which.max()) | (self.logical.size == 1)  # the system chunks are found with a map of their own
        return places[keep], which[keep]

    monkeypatch.setattr(ChunkMap, "stripes", fewer)

    assert lost()


def test_second_copies_forgotten(monkeypatch, lost):
    """Every file can still be read: only scrub, which looks at all copies, sees it."""
    monkeypatch.setattr(ChunkMap, "stripes", lambda self: (self.place[o := np.argsort(self.place)], o))

    assert "what scrub finds" in lost()


def test_places_beside_the_trees_forgotten(monkeypatch, lost):
    monkeypatch.setattr(Superblock, "fixed", lambda *_: Extents.none())

    assert "superblock differs" in lost()


def test_the_chunk_root_never_imaged(monkeypatch, trusting, lost, image):
    """What once made every image of another program unusable."""
    root = int(image.super("chunk_root"))
    without(monkeypatch, lambda table: table["objectid"] == root)
    monkeypatch.setattr(usedmap, "_roots", lambda *_: Extents.none())

    assert lost()
