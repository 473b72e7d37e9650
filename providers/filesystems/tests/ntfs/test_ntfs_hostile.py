"""Every byte of an NTFS may be hostile: the honest map, more than it, or none, in bounded time and memory."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.ntfs import usedmap
from holdstill_filesystems.ntfs.boot import LAYOUT, Boot
from holdstill_filesystems.ntfs.runs import unpack
from holdstill_filesystems.ntfs.table import FileTable, Kind
from holdstill_testing.destruction import PatchedReader, answer, bounded, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds

MIB = 1 << 20
READS = 5000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bytes_per_sector", 0),
        ("bytes_per_sector", 256),
        ("bytes_per_sector", 513),
        ("bytes_per_sector", 0x8000),
        ("sectors_per_cluster", 0),
        ("sectors_per_cluster", 3),
        ("sectors_per_cluster", 129),
        ("sectors_per_cluster", 200),
        ("sectors_per_cluster", 255),
        ("reserved_sectors", 1),
        ("fats", 2),
        ("root_entries", 1),
        ("sectors16", 1),
        ("sectors_per_fat", 1),
        ("sectors32", 1),
        ("sectors", 0),
        ("sectors", 1),
        ("sectors", 1 << 20),
        ("sectors", 2**64 - 1),
        ("mft", 0),
        ("mft", 5),
        ("mft", 2**63),
        ("mft", 2**64 - 1),
        ("mirror", 0),
        ("mirror", 5),
        ("mirror", 2**64 - 1),
        ("record_size", 0),
        ("record_size", 1),
        ("record_size", 127),
        ("record_size", -1),
        ("record_size", -12),
        ("record_size", -128),
        ("index_size", 0),
        ("index_size", -60),
        ("end", 0),
    ],
)
def test_hostile_numbers_in_both_boot_sectors(ntfs, field, value):
    image = ntfs("clusters-4k")
    at, form = next((at, form) for name, at, form in LAYOUT.fields if name == field)
    with PatchedReader(image.path) as reader:
        for sector in (0, Boot.read(reader).copy_at):
            reader.patch(sector + at, struct.pack("<" + form, value))

        assert isinstance(answer(reader, plugin), str)


@pytest.mark.parametrize("field", ["bytes_per_sector", "sectors_per_cluster", "sectors", "mft", "mirror", "serial"])
def test_a_copy_of_the_boot_sector_that_says_otherwise(ntfs, field):
    at = LAYOUT.offset_of(field)
    with PatchedReader(ntfs("clusters-4k").path) as reader:
        place = Boot.read(reader).copy_at + at
        reader.patch(place, bytes([reader.read(place, 1)[0] ^ 0x40]))

        assert f"boot sector's {field}" in answer(reader, plugin)


def regions(image):
    """All that the map is made of, but for the bits of the bitmap: nothing else says what these should be."""
    with FileReader(image.path) as reader:
        boot = Boot.read(reader)
        table = FileTable(reader, boot)
        records = [table.record(number).record.offset for number in (*range(7), 11)]
        log = int(table.stream(2, Kind.DATA).runs.at[0]) * boot.cluster_size
        places = [(0, 90), (boot.copy_at, 90), (log, 64)]
        places += [(place, 480) for place in records]
        places += [(boot.record["mirror"] * boot.cluster_size + number * boot.record_size, 480) for number in range(4)]
        if table.has(5, Kind.INDEX_ALLOCATION, "$I30"):
            index = table.stream(5, Kind.INDEX_ALLOCATION, "$I30")
            places.append((int(index.runs.at[0]) * boot.cluster_size, 400))
        return Extents.of(*places)


@pytest.mark.parametrize("kind", ["clusters-512", "slow-format-label", "clusters-4k-fragmented", "sectors-4k"])
def test_changed_images_give_the_honest_map_or_more_or_none(ntfs, kind):
    image = ntfs(kind)
    honest = image.honest
    with bounded(64 * MIB):
        for reader in mutations(
            image.path, regions(image), f"ntfs/{kind}", rounds(200 if "fragmented" in kind else 600)
        ):
            found = answer(reader, plugin)
            assert isinstance(found, str) or found.covers(honest.clip(0, reader.size)), reader.patches
            assert reader.reads < READS


def test_a_sleeping_system_is_not_hidden_by_a_flipped_bit(ntfs):
    """In the head of the block of the root's index that names it."""
    data, name = ntfs("asleep").path.read_bytes(), "hiberfil.sys".encode("utf-16-le")
    named = [found.start() & ~4095 for found in re.finditer(re.escape(name), data)]
    (place,) = [at for at in named if data.startswith(b"INDX", at)]
    chance = dice("ntfs/asleep")
    for _ in range(rounds(500)):
        with PatchedReader(ntfs("asleep").path) as reader:
            at = place + chance.randrange(40)
            reader.patch(at, bytes([data[at] ^ 1 << chance.randrange(8)]))
            assert isinstance(answer(reader, plugin), str), f"byte {at}"


class TestRuns:
    def rows(self, packed: bytes, past: int, clusters: int = 1000):
        return unpack(packed, 0, past, clusters, "this")

    def test_forwards_backwards_and_holes(self):
        packed = bytes.fromhex("11 05 6421 0a 00ff01 0311 02 1000 99")

        with pytest.raises(StructureFault, match="at -156"):
            self.rows(packed, 20)
        assert self.rows(bytes.fromhex("21 05 f401 11 0a 9c 01 03 11 02 10 00"), 20) == [
            (0, 500, 5),
            (5, 400, 10),
            (15, -1, 3),
            (18, 416, 2),
        ]

    @pytest.mark.parametrize(
        "packed",
        [
            "",
            "00",
            "11 05",
            "10 05",
            "91 05",
            "19 05",
            "11 00 05",
            "11 ff 05",
            "11 15 05",
            "11 0f 05 11 06 7f",
            "21 14 ff7f",
        ],
    )
    def test_what_is_none(self, packed):
        with pytest.raises(StructureFault):
            self.rows(bytes.fromhex(packed), 20)

    @settings(max_examples=rounds(1000), deadline=None)
    @given(st.lists(st.tuples(st.none() | st.integers(0, 1 << 40), st.integers(1, 1 << 30)), min_size=1, max_size=40))
    def test_what_was_packed_comes_back(self, runs):
        packed, place, start, rows = b"", 0, 0, []
        for at, length in runs:
            wide = _packed(length)
            far = b"" if at is None else _packed(at - place)
            packed += bytes([len(wide) | len(far) << 4]) + wide + far
            place = place if at is None else at
            rows.append((start, -1 if at is None else at, length))
            start += length

        assert self.rows(packed + b"\0", start, 1 << 41) == rows

    def test_noise(self):
        chance = dice("ntfs/runs")
        for _ in range(rounds(20_000)):
            packed = bytes(
                chance.choice((chance.randrange(256), 0x11, 0x21, 0x01)) for _ in range(chance.randrange(40))
            )
            try:
                rows = self.rows(packed, 20)
            except StructureFault:
                continue
            assert sum(length for _, _, length in rows) == 20
            assert all(-1 <= at <= 1000 - length for _, at, length in rows)


def _packed(number):
    """In as few bytes as hold it and its sign."""
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "little", signed=True)


def test_a_sparse_large_one(new_ntfs):
    """512 GiB, nearly all of it free: few reads, little memory."""
    image = new_ntfs(512 << 30, "-Q")
    free = int(image.info["Free Clusters"].split()[0]) * image.cluster
    with bounded(32 * MIB), FileReader(image.path) as reader:
        total = sum(window.total for window in usedmap.used_blocks(reader).windows)
        assert reader.reads < 300

    assert total == image.size - free


def test_a_large_one_that_only_says_so(new_ntfs):
    """Clusters for which there is no bitmap."""
    image = new_ntfs(64 * MIB, "-Q")
    with image.path.open("r+b") as file:
        file.truncate(8 << 40)
        file.seek(40)
        file.write(struct.pack("<Q", (8 << 40) // 512 - 1))

    with bounded(32 * MIB), FileReader(image.path) as reader:
        assert "bitmap has 2048 bytes" in answer(reader, plugin)
