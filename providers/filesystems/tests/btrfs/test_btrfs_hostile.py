"""Changed images: an answer in bounded memory and reads, and never a map from a block whose checksum is wrong."""

from __future__ import annotations

import struct

import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.btrfs import allocated, chunks
from holdstill_filesystems.btrfs.nodes import Nodes
from holdstill_filesystems.btrfs.superblock import PLACES, SIZE, Superblock
from holdstill_testing.btrfs_forge import crc32c
from holdstill_testing.destruction import PatchedReader, answer, bounded, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds

pytestmark = pytest.mark.root
#: what may be held beside the process itself, bytes, and how often may be read
MEMORY, READS = 64 << 20, 5000


@pytest.fixture
def under_checksums(monkeypatch):
    """Where the reader looks: the superblock, and the first copy of every block that it reads for a map."""

    def found(path) -> Extents:
        places = []
        real = Nodes._gather

        def seen(self, blocks, what):
            places.extend(self._chunks.places(blocks, self.size, what).tolist())
            return real(self, blocks, what)

        with monkeypatch.context() as patched, FileReader(path) as reader:
            patched.setattr(Nodes, "_gather", seen)
            assert isinstance(answer(reader, plugin), Extents)
            size = Superblock.read(reader).node_size
        return Extents.of((PLACES[0], SIZE), *((place, size) for place in places))

    return found


@pytest.mark.parametrize("name", ["default", "nodes-4k", "xxhash", "block-group-tree"])
def test_a_flipped_bit_is_never_a_map(made, under_checksums, name):
    """But in what the checksum leaves of its own room."""
    image = made(name)
    regions = under_checksums(image.path)
    assert len(regions) > 3
    unused = range(8 if name == "xxhash" else 4, 32)
    chance = dice(f"flips/{name}")
    for _ in range(rounds(400)):
        region = chance.randrange(len(regions))
        at = chance.randrange(int(regions.starts[region]), int(regions.ends[region]))
        if at % 4096 in unused:
            continue
        with PatchedReader(image.path) as reader:
            reader.patch(at, bytes([reader.read(at, 1)[0] ^ 1 << chance.randrange(8)]))
            assert isinstance(answer(reader, plugin), str), f"byte {at}"


@pytest.mark.parametrize("name", ["default", "mixed", "balanced"])
@pytest.mark.parametrize("sealed", [False, True])
def test_changed_images(made, under_checksums, name, sealed):
    """With ``sealed`` the checksum of every changed block fits again: a hostile hand can compute it too."""
    image = made(name)
    regions = under_checksums(image.path)
    with bounded(MEMORY):
        for reader in mutations(image.path, regions, f"{name}/{sealed}", rounds(200)):
            if sealed:
                seal(reader, regions)
            answer(reader, plugin)
            assert reader.reads < READS, reader.patches


def seal(reader, regions) -> None:
    """Let the checksum of each changed block fit."""
    for at, _ in list(reader.patches):
        start, length = block_of(at, regions)
        if start + length <= reader.size:
            reader.patch(start, struct.pack("<I", crc32c(reader.read(start + 32, length - 32))))


def block_of(at, regions) -> tuple[int, int]:
    """The block that this byte is in: neighbours are one region. Mixed groups have blocks of 4 KiB."""
    if PLACES[0] <= at < PLACES[0] + SIZE:
        return PLACES[0], SIZE
    node = 16384 if (regions.lengths[1:] % 16384 == 0).all() else 4096
    region = max(int(start) for start in regions.starts if start <= at)
    return region + (at - region) // node * node, node


def test_a_second_copy_is_no_witness(made):
    """Where the first copy of a block is bad nothing is made of the second: the kernel would mend it, we only look."""
    image = made("default")
    for field in ("chunk_root", "root"):
        root = Extents.of((int(image.super(field)), 16384))
        with PatchedReader(image.path) as reader:
            reader.patch(int(image.on_device(root).starts[0]) + 200, b"?")
            assert "does not fit its checksum" in answer(reader, plugin)


def test_chunks_in_no_order_at_all(made, monkeypatch):
    """Each break in their order costs a way down the tree: there is an end to how many are gone."""
    monkeypatch.setattr(allocated, "_MOST_RUNS", 1)

    with PatchedReader(made("balanced").path) as reader:
        assert "more than 1 runs of any order" in answer(reader, plugin)


def test_too_many_chunks(made, monkeypatch):
    monkeypatch.setattr(chunks, "_MOST", 3)

    with PatchedReader(made("balanced").path) as reader:
        assert answer(reader, plugin) == "there are more than 3 chunks"
