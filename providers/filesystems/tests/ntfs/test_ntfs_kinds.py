"""The map of every kind of NTFS, against ntfs-3g's tools and partclone, and against the destruction of the rest."""

from __future__ import annotations

import pytest

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill_filesystems.ntfs import usedmap
from holdstill_filesystems.ntfs.boot import Boot
from holdstill_filesystems.ntfs.records import Kind
from holdstill_filesystems.ntfs.table import FileTable
from holdstill_testing.fakes.file_reader import FileReader


def test_it_is_what_the_bitmap_says(every_kind):
    """To the cluster, as ntfscat reads it; and as many as ntfsinfo counts."""
    end = every_kind.clusters * every_kind.cluster
    claimed = every_kind.map()
    free = int(every_kind.info["Free Clusters"].split()[0])

    assert claimed.clip(0, end) == every_kind.bitmap()
    assert claimed.clip(0, end).total == (every_kind.clusters - free) * every_kind.cluster


@pytest.mark.parametrize("name", ["clusters-512", "clusters-4k-fragmented", "short"])
def test_nothing_that_partclone_copies_is_missing(ntfs, partclone, name):
    copied = partclone(ntfs(name))

    assert copied
    assert ntfs(name).map().covers(copied.clip(0, ntfs(name).size))


def test_nothing_it_needs_is_outside_the_map(every_kind, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; no tool and no file must notice."""
    assert "Accounting clusters" in every_kind.check(), "the image should be sound to begin with"

    destroyed = every_kind.destroyed(tmp_path / "destroyed.img", every_kind.map())

    assert every_kind.missing_from(destroyed) is None


def test_a_fragmented_file_table_is_followed(ntfs):
    """Its runs fill more than its own record, so an attribute list says where the rest is; every file is found."""
    with FileReader(ntfs("clusters-4k-fragmented").path) as reader:
        table = FileTable(reader, Boot.read(reader))
        sound = sum(1 for number in range(24, table.records) if _is_there(table, number))

        assert table.record(0).find(Kind.ATTRIBUTE_LIST) is not None
    assert sound >= len(ntfs("clusters-4k-fragmented").files)


def _is_there(table, number):
    try:
        return table.record(number).number == number
    except StructureFault:
        return False


class TestPlantedBugs:
    """The destruction test must be able to fail. The files' own records would see some of the bugs before it does."""

    @pytest.fixture
    def lost(self, ntfs, tmp_path, monkeypatch):
        monkeypatch.setattr(usedmap, "log_is_empty", lambda table: False)

        def lose(name: str) -> str | None:
            image = ntfs(name)
            return image.missing_from(image.destroyed(tmp_path / "destroyed.img", image.map()))

        return lose

    def test_one_cluster_of_a_file_called_free(self, lost, monkeypatch):
        real = usedmap.from_packed

        def short(packed, unit, base):
            runs = real(packed, unit, base)
            return runs.difference(Extents.of((int(runs.ends[-2]) - unit, unit)))

        monkeypatch.setattr(usedmap, "from_packed", short)

        assert lost("clusters-4k")

    def test_the_last_window_forgotten(self, lost, monkeypatch):
        monkeypatch.setattr(usedmap, "_WINDOW", 512)
        real = usedmap._marked
        monkeypatch.setattr(usedmap, "_marked", lambda *told: list(real(*told))[:-1])

        assert lost("clusters-4k")

    def test_bits_in_another_order(self, lost, monkeypatch):
        real = usedmap.from_packed
        turned = usedmap.np.packbits(
            usedmap.np.unpackbits(usedmap.np.arange(256, dtype="u1")).reshape(-1, 8)[:, ::-1], axis=1
        ).reshape(-1)
        monkeypatch.setattr(usedmap, "from_packed", lambda packed, unit, base: real(turned[packed], unit, base))
        monkeypatch.setattr(usedmap, "_SYSTEM_FILES", ())
        monkeypatch.setattr(usedmap.FileTable, "extents", Extents.none())

        assert lost("clusters-4k")

    def test_the_copy_of_the_boot_sector_forgotten(self, lost, monkeypatch):
        monkeypatch.setattr(usedmap, "_in_a_row", lambda windows, rest: windows)

        assert lost("clusters-4k") == "the copy of the boot sector differs"
