"""exFAT volumes that someone has changed. No driver is needed: what mkfs.exfat makes is enough."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.exfat.bootregion import BootRegion, boot_checksum
from holdstill_testing import volumes
from holdstill_testing.destruction import answer, bounded, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import rounds

MIB = 1 << 20
READS = 4000
#: bytes under no checksum: flags and percent in use
FREE_TO_CHANGE = {106, 107, 112}


def said(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


def boot_of(path):
    with FileReader(path) as reader:
        return BootRegion.read(reader)


def sealed(sectors):
    """A boot region and its copy, with the checksum that belongs to it."""
    region = sectors[: 11 * 512] + boot_checksum(sectors[: 11 * 512]).to_bytes(4, "little") * 128
    return region * 2


def changed_boot(path, *patches):
    """What is to be written at 0, so that a boot region with these patches passes its checksum."""
    region = bytearray(path.read_bytes()[: 11 * 512])
    for at, data in patches:
        region[at : at + len(data)] = data
    return (0, sealed(bytes(region)))


def under_checksum(reader):
    """Both boot regions without what may change."""
    regions = reader.read(0, min(reader.size, 24 * 512))
    return [byte for at, byte in enumerate(regions) if at % (12 * 512) not in FREE_TO_CHANGE]


def words(value, width=4):
    return value.to_bytes(width, "little")


@pytest.mark.parametrize(
    ("at", "data", "because"),
    [
        (11, b"\1", "must_be_zero"),
        (72, words(1 << 40, 8), "but the volume only"),
        (72, words(100, 8), "behind the volume"),
        (80, words(3), "fat_offset"),
        (84, words(1), "no room for"),
        (84, words(1 << 30), "behind the table"),
        (88, words(30), "behind the table"),
        (92, words(0), "cluster_count"),
        (92, words(0xFFFFFFFF), "cluster_count"),
        (96, words(1), "root_cluster"),
        (96, words(0xFFFFFFF0), "root_cluster"),
        (104, words(0x0200, 2), "revision"),
        (106, words(1, 2), "no second table"),
        (106, words(2, 2), "not unmounted cleanly"),
        (106, words(4, 2), "having met errors"),
        (106, words(16, 2), "unknown flag"),
        (108, b"\x08", "sector_shift"),
        (108, b"\xff", "sector_shift"),
        (109, b"\x19", "cluster_shift"),
        (110, b"\2", "a second table"),
        (510, b"\0\0", "not a boot sector"),
    ],
)
def test_every_field_that_places_depend_on(made_exfat, hurt_exfat, at, data, because):
    path = made_exfat("empty").path

    assert because in said(hurt_exfat("empty", changed_boot(path, (at, data))))


def test_the_percentage_and_the_harmless_flag_are_free_to_change(hurt_exfat):
    assert isinstance(said(hurt_exfat("empty", (112, b"\x63"), (106, b"\x08"))), Extents)


def test_a_flipped_bit_under_the_checksum_is_never_a_map(made_exfat):
    """In either region, for every sector of them."""
    boot = Extents.of((0, 106), (108, 4), (113, 399), *((sector * 512, 512) for sector in range(1, 12)))
    regions = boot.union(boot.shift(12 * 512))
    with FileReader(made_exfat("empty").path) as sound:
        before = under_checksum(sound)
    for reader in mutations(made_exfat("empty").path, regions, "exfat-boot", rounds(500)):
        assert isinstance(answer(reader, plugin), str) or under_checksum(reader) == before, reader.patches


class TestTheRootDirectory:
    @pytest.fixture
    def root(self, made_exfat):
        path = made_exfat("empty").path
        boot = boot_of(path)
        start = boot.place(boot.record["root_cluster"])
        raw = path.read_bytes()[start : start + 32 * 8]
        entries = {raw[at]: start + at for at in range(0, len(raw), 32)}
        return boot, entries

    @pytest.mark.parametrize(
        ("kind", "within", "data", "because"),
        [
            (0x81, 0, b"\1", "does not name both"),
            (0x81, 0, b"\0", "does not name both"),
            (0x81, 1, b"\1", "a second table"),
            (0x81, 20, words(1), "leads out of"),
            (0x81, 20, words(0xFFFFFFFF), "leads out of"),
            (0x81, 24, words(1, 8), "bitmap of all clusters"),
            (0x81, 24, words(1 << 60, 8), "bitmap of all clusters"),
            (0x82, 0, b"\x81", "more than one"),
            (0x82, 24, words(1 << 60, 8), "at most"),
            (0x82, 24, words(0, 8), "at most"),
            (0x82, 20, words(900), "do not follow each other"),
        ],
    )
    def test_entries(self, hurt_exfat, root, kind, within, data, because):
        _, entries = root

        assert because in said(hurt_exfat("empty", (entries[kind] + within, data)))

    def test_a_bitmap_that_calls_itself_free(self, made_exfat, hurt_exfat, root):
        boot, entries = root
        with FileReader(made_exfat("empty").path) as reader:
            first = struct.unpack("<I", reader.read(entries[0x81] + 20, 4))[0]
            bits = reader.read(boot.place(first), 1)[0]

        found = said(hurt_exfat("empty", (boot.place(first), bytes([bits & ~(1 << first - 2)]))))

        assert f"calls cluster {first} free" in found

    def test_a_bitmap_in_two_pieces(self, hurt_exfat, made_exfat):
        path = made_exfat("small-bitmap-clusters").path
        boot = boot_of(path)

        assert "do not follow each other" in said(
            hurt_exfat("small-bitmap-clusters", (boot.table_start + 2 * 4, words(5)))
        )

    def test_a_root_directory_that_goes_round(self, hurt_exfat, root):
        """It names no bitmap and follows itself: bounded all the same."""
        boot, _ = root
        number = boot.record["root_cluster"]
        start = boot.place(number)
        path = hurt_exfat("empty", (start, b"\x85" * boot.cluster_size), (boot.table_start + number * 4, words(number)))
        with FileReader(path) as reader:
            assert "does not name both" in answer(reader, plugin)
            assert reader.reads < READS


@pytest.mark.parametrize("kind", ["empty", "small-bitmap-clusters"])
def test_mutations(made_exfat, kind):
    """With a boot region that passes its checksum: a clear answer, few reads, little memory."""
    path = made_exfat(kind).path
    boot = boot_of(path)
    root = boot.place(boot.record["root_cluster"])
    regions = Extents.of((64, 42), (108, 4), (root, 128), (boot.table_start, 64), (boot.data_start, 64))
    with bounded(48 * MIB):
        for reader in mutations(path, regions, f"exfat/{kind}", rounds(300)):
            if reader.size > 24 * 512:
                reader.patch(0, sealed(reader.read(0, 11 * 512)))
            answer(reader, plugin)
            assert reader.reads < READS


def exfat_by_hand(path, clusters, bits):
    """Clusters of 32 KiB; the bitmap begins with the bytes ``bits``, which say that its own clusters are used."""
    bitmap = -(-clusters // 8)
    pieces = -(-bitmap // 32768)
    table = -(-(clusters + 2) * 4 // 512)
    heap = -(-(128 + table) // 64) * 64
    boot = bytearray(11 * 512)
    boot[0:11] = b"\xeb\x76\x90EXFAT   "
    struct.pack_into(
        "<QIIIIIIHHBBBB", boot, 72, heap + clusters * 64, 128, table, heap, clusters, 2, 1, 256, 0, 9, 6, 1, 128
    )
    for sector in range(9):
        boot[sector * 512 + 510 : sector * 512 + 512] = b"\x55\xaa"
    volumes.sparse(path, (heap + clusters * 64) * 512)
    with path.open("r+b") as image:
        image.write(sealed(bytes(boot)))
        image.seek(128 * 512)
        last = 0xFFFFFFFF
        chain = [0xFFFFFFF8, last, last, last, *range(5, 4 + pieces), last]
        image.write(np.array(chain, dtype="<u4").tobytes())
        image.seek(heap * 512)
        image.write(struct.pack("<BB18xIQ", 0x82, 0, 3, 5836) + struct.pack("<BB18xIQ", 0x81, 0, 4, bitmap))
        image.seek(heap * 512 + 2 * 32768)
        image.write(bits)
    return heap * 512, pieces


def test_16_tib_nearly_empty(tmp_path):
    clusters = (16 << 40) // 32768 - (1 << 18)
    start, pieces = exfat_by_hand(tmp_path / "own.img", clusters, b"\xff" * ((2 + 2048) // 8 + 1))
    with bounded(64 * MIB):
        used = said(tmp_path / "own.img")

    assert pieces == 2047
    assert used == Extents.of((0, start + ((2 + 2048) // 8 + 1) * 8 * 32768))


def test_every_second_cluster(tmp_path):
    """The clusters of root directory, up-case table and bitmap are used; behind them every second one."""
    start, pieces = exfat_by_hand(tmp_path / "own.img", 1 << 22, b"\xff" * 4 + b"\x55" * ((1 << 19) - 4))
    with bounded(200 * MIB):
        used = said(tmp_path / "own.img")

    assert pieces + 2 < 32
    assert len(used) == (1 << 21) - 16
    assert used.total == start + ((1 << 21) + 16) * 32768
