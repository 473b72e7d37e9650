"""FAT volumes that someone has changed: FAT knows no checksums, so every witness there is must be heard."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.fat.bootsector import BootSector
from holdstill_testing import volumes
from holdstill_testing.destruction import answer, bounded, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, full, rounds

MIB = 1 << 20
READS = 2000


def said(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


def boot_of(path):
    with FileReader(path) as reader:
        return BootSector.read(reader)


def words(value, width=2):
    return value.to_bytes(width, "little")


@pytest.mark.parametrize(
    ("kind", "place", "data", "because"),
    [
        ("fat16", 11, words(513), "bytes_per_sector"),
        ("fat16", 11, words(0), "bytes_per_sector"),
        ("fat16", 13, b"\3", "sectors_per_cluster"),
        ("fat16", 13, b"\0", "sectors_per_cluster"),
        ("fat16", 14, words(0), "reserved_sectors"),
        ("fat16", 16, b"\0", "fats"),
        ("fat16", 16, b"\3", "fats"),
        ("fat16", 17, words(0), "root_entries"),
        ("fat16", 17, words(65535), "whole sectors"),
        ("fat16", 19, words(100), "sectors_16"),
        ("fat16", 21, b"\x07", "media"),
        ("fat16", 21, b"\xf0", "entry 0"),
        ("fat16", 22, words(1), "no room for"),
        ("fat16", 37, b"\1", "not unmounted cleanly"),
        ("fat16", 37, b"\2", "having errors"),
        ("fat16", 510, b"\0\0", "not a boot sector"),
        ("fat32", 17, words(16), "root_entries"),
        ("fat32", 32, words(1 << 31, 4), "but the volume only"),
        ("fat32", 36, words(0xFFFFFFFF, 4), "no room for clusters"),
        ("fat32", 40, words(0x81), "not kept equal"),
        ("fat32", 42, words(1), "version"),
        ("fat32", 44, words(1, 4), "root_cluster"),
        ("fat32", 44, words(9000, 4), "the table calls it free"),
        ("fat32", 48, words(31), "lead"),
        ("fat32", 48, words(40), "behind the reserved ones"),
        ("fat32", 65, b"\1", "not unmounted cleanly"),
        ("fat32", 512 + 484, b"\0", "structure"),
        ("fat32", 512 + 488, words(5, 4), "5 clusters are free"),
        ("fat32", 512 + 488, words(0xFFFFFFF0, 4), "not so many clusters"),
    ],
)
def test_every_field_that_places_depend_on(hurt_fat, kind, place, data, because):
    found = said(hurt_fat(kind, (place, data)))

    assert isinstance(found, str)
    assert because in found


def test_a_free_count_that_nobody_knows_is_no_witness(hurt_fat):
    assert isinstance(said(hurt_fat("fat32", (512 + 488, b"\xff" * 4))), Extents)


class TestTheTable:
    """The same change in every copy, so that only the entries themselves can tell."""

    @pytest.fixture(params=["fat12", "fat16", "fat32-small"])
    def kind(self, request):
        return request.param

    @pytest.fixture
    def with_entry(self, made_fat, hurt_fat, kind):
        boot = boot_of(made_fat(kind).path)

        def change(number, value, copies=2):
            patches = []
            with FileReader(made_fat(kind).path) as reader:
                for copy in range(copies):
                    at = boot.table_start + copy * boot.table_size + number * boot.bits // 8
                    was = int.from_bytes(reader.read(at, 4), "little")
                    shift = number * boot.bits % 8
                    mask = ((1 << boot.bits) - 1) << shift
                    patches.append((at, words(was & ~mask | (value << shift) & mask, 4)))
            return said(hurt_fat(kind, *patches))

        change.boot = boot
        return change

    def test_one_copy_that_differs(self, with_entry):
        assert "copy 2 of the table differs" in with_entry(3, 0, copies=1)

    def test_a_cluster_that_does_not_exist(self, with_entry):
        assert "which does not exist" in with_entry(3, with_entry.boot.clusters + 2)

    def test_a_reserved_value(self, with_entry):
        assert "which does not exist" in with_entry(3, 1)

    def test_a_chain_into_a_free_cluster(self, with_entry, made_fat, kind):
        used = sum(1 for _ in said(made_fat(kind).path))
        assert used
        last = with_entry.boot.clusters + 1

        found = with_entry(3, last)

        assert "which is free" in found or "clusters are free" in found

    def test_the_first_entry(self, with_entry):
        assert "entry 0" in with_entry(0, 0)

    def test_the_second_entry(self, with_entry):
        """FAT12 has no room for the two marks."""
        bits = with_entry.boot.bits
        marks = {12: [], 16: [0x7FFF, 0xBFFF], 32: [0x07FFFFFF, 0x0BFFFFFF]}[bits]
        assert ["entry 1" in with_entry(1, mark) for mark in marks] == [True] * len(marks)


@pytest.mark.parametrize("kind", ["fat12", "fat16", "fat32-small"])
def test_a_change_in_one_copy_is_never_a_map(made_fat, kind):
    """The only checksum there is: the other copy."""
    boot = boot_of(made_fat(kind).path)
    live = (boot.clusters + 2) * boot.bits // 8
    second = Extents.of((boot.table_start + boot.table_size, live))
    for reader in mutations(made_fat(kind).path, second, f"fat-copy/{kind}", rounds(400)):
        with FileReader(made_fat(kind).path) as was:
            same = reader.size < was.size or all(
                reader.read(at, len(data)) == was.read(at, len(data)) for at, data in reader.patches
            )
        found = answer(reader, plugin)
        assert same or isinstance(found, str), reader.patches


@pytest.mark.parametrize("kind", ["fat12", "fat12-one-copy", "fat16", "fat32-small"])
def test_mutations(made_fat, kind):
    """A clear answer, few reads, little memory."""
    boot = boot_of(made_fat(kind).path)
    regions = Extents.of((0, 90), (600, 600), (boot.table_start, 1000), (boot.data_start, 512))
    with bounded(48 * MIB):
        for reader in mutations(made_fat(kind).path, regions, f"fat/{kind}", rounds(700)):
            answer(reader, plugin)
            assert reader.reads < READS


def fat32_by_hand(path, clusters, entries):
    """A FAT32 with clusters of 64 KiB in sectors of 4 KiB; both copies have ``entries`` from cluster 2 on."""
    table = -(-(clusters + 2) * 4 // 4096)
    sectors = 32 + 2 * table + clusters * 16
    boot = bytearray(4096)
    struct.pack_into(
        "<3s8sHBHBHHBHHHII", boot, 0, b"\xeb\x58\x90", b"by hand ", 4096, 16, 32, 2, 0, 0, 0xF8, 0, 0, 0, 0, sectors
    )
    struct.pack_into("<IHHIHH", boot, 36, table, 0, 0, 2, 0, 0)
    boot[82:90], boot[510:512] = b"FAT32   ", b"\x55\xaa"
    volumes.sparse(path, sectors * 4096)
    with path.open("r+b") as image:
        image.write(boot)
        for copy in range(2):
            image.seek((32 + copy * table) * 4096)
            image.write(struct.pack("<2I", 0x0FFFFFF8, 0x0FFFFFFF))
            image.write(entries.astype("<u4").tobytes())
    return (32 + 2 * table) * 4096


def test_every_second_cluster(tmp_path):
    entries = np.where(np.arange(1 << 20) % 2, 0, 0x0FFFFFFF)
    start = fat32_by_hand(tmp_path / "own.img", 1 << 20, entries)
    with bounded(100 * MIB):
        used = said(tmp_path / "own.img")

    assert len(used) == 1 << 19
    assert used.total == start + (1 << 19) * 65536


def test_as_large_as_fat_can_be(tmp_path):
    """16 TiB: as many clusters as 28 bits can number. That reads 3 GiB of zeros, so it is smaller in ordinary runs."""
    clusters = (1 << 28) - (1 << 16) if full() else 1 << 22
    start = fat32_by_hand(tmp_path / "own.img", clusters, np.array([0x0FFFFFFF]))
    with bounded(200 * MIB):
        used = said(tmp_path / "own.img")

    assert used == Extents.of((0, start + 65536))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 4096])
def test_volumes_that_are_too_short(made_fat, tmp_path, size):
    path = tmp_path / "short.img"
    path.write_bytes(made_fat("fat16").path.read_bytes()[:size])

    assert isinstance(said(path), str)


def test_noise_behind_the_boot_sector(made_fat, hurt_fat):
    found = said(hurt_fat("fat16", (512, dice("noise").randbytes(MIB))))

    assert isinstance(found, str)
