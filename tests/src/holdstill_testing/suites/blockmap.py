"""What a reader of block maps is held to: the obligations of the hook ``enumerate_used_blocks``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from holdstill.errors import ReadFault, StructureFault, VolumeUnusable
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents, union_of
from holdstill.model.volume import FilesystemFacts
from holdstill.spi.reader import Reader
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.suites.base import ConformanceSuite
from holdstill_testing.torture import dice, rounds

Enumerate: TypeAlias = Callable[[Reader, FilesystemFacts], BlockMap | WholeVolume]

#: more windows than any image of a suite can need
_MOST_WINDOWS = 1_000_000


class BlockMapSuite(ConformanceSuite):
    """Override ``enumerate_used_blocks``, ``facts``, ``image`` and ``truth``."""

    @pytest.fixture
    def enumerate_used_blocks(self) -> Enumerate:
        """The plugin's hook."""
        raise LookupError("override the `enumerate_used_blocks` fixture")

    @pytest.fixture
    def facts(self) -> FilesystemFacts:
        """What the plugin recognises in the image."""
        raise LookupError("override the `facts` fixture")

    @pytest.fixture
    def image(self) -> bytes:
        """A volume with the file system on it; best partly used, and used up to its last block."""
        raise LookupError("override the `image` fixture")

    @pytest.fixture
    def truth(self) -> Extents:
        """Where the volume holds data, found by another road than the plugin's."""
        raise LookupError("override the `truth` fixture")

    # --- the map --------------------------------------------------------------------------------

    def test_every_byte_of_data_is_inside(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes, truth: Extents
    ) -> None:
        """A subset is data loss."""
        forgotten = truth.difference(_claimed(enumerate_used_blocks, _reader(image), facts))
        assert not forgotten, f"the map forgets {forgotten}"

    def test_it_leaves_something_out(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes, truth: Extents
    ) -> None:
        """The image of the suite is partly unused; a map that says otherwise is of no use."""
        claimed = _claimed(enumerate_used_blocks, _reader(image), facts)
        assert claimed.total < len(image) or truth.total == len(image)

    def test_windows_ascend_inside_the_volume(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes
    ) -> None:
        """Sorted, disjoint, and no window reaches back."""
        answer = enumerate_used_blocks(_reader(image), facts)
        assert isinstance(answer, BlockMap)
        assert answer.block_size > 0
        reached = 0
        for window in answer.windows:
            assert (window.starts < window.ends).all()
            assert (window.starts[1:] > window.ends[:-1]).all()
            assert not window or window.starts[0] >= reached
            reached = max(reached, window.end)
        assert reached <= len(image)

    @pytest.mark.parametrize(("preferred_read", "alignment"), [(512, 512), (3 << 20, 4096), (4096, 1), (65536, 65536)])
    def test_any_read_size_gives_the_same_map(
        self,
        enumerate_used_blocks: Enumerate,
        facts: FilesystemFacts,
        image: bytes,
        preferred_read: int,
        alignment: int,
    ) -> None:
        """The hints of the reader are hints."""
        reader = _reader(image)
        reader.preferred_read, reader.alignment = preferred_read, alignment
        assert _claimed(enumerate_used_blocks, reader, facts) == _claimed(enumerate_used_blocks, _reader(image), facts)

    def test_it_reads_and_leaves_the_reader_open(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes
    ) -> None:
        """Whoever opened a reader closes it."""
        reader = _reader(image)
        _claimed(enumerate_used_blocks, reader, facts)
        assert not reader.closed

    # --- what is not a sound file system of its kind --------------------------------------------

    @pytest.mark.parametrize("filling", ["zeros", "ones", "noise", "nothing"])
    def test_a_foreign_volume_is_refused(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, filling: str
    ) -> None:
        """Whatever the facts say: the volume is taken whole, never guessed at."""
        volumes = {"zeros": bytes(1 << 20), "ones": b"\xff" * (1 << 20), "noise": dice("noise").randbytes(1 << 20)}
        reader = _reader(volumes.get(filling, b""))
        assert _answer(enumerate_used_blocks, reader, facts) is None

    def test_a_truncated_volume_is_refused_or_covered(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes, truth: Extents
    ) -> None:
        """What is left of the data is inside the map, or the volume is taken whole. No other exception."""
        chance = dice("truncated")
        lengths = [1, 512, 1024, 4096, len(image) // 2, len(image) - 512, len(image) - 1]
        for length in lengths + [chance.randrange(len(image)) for _ in range(rounds(100))]:
            if (claimed := _answer(enumerate_used_blocks, _reader(image[:length]), facts)) is not None:
                forgotten = truth.clip(0, length).difference(claimed)
                assert not forgotten, f"cut to {length} bytes, the map forgets {forgotten}"

    def test_garbage_is_an_answer_or_a_structure_fault(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes
    ) -> None:
        """Every byte is hostile: no other exception, and an end."""
        chance = dice("garbage")
        for _ in range(rounds(1000)):
            hurt = bytearray(image)
            for _ in range(chance.choice((1, 1, 4, 64))):
                # Structures stand near the beginning of most file systems.
                at = chance.randrange(min(len(image), 1 << chance.randrange(10, 40)))
                length = chance.choice((1, 1, 4, 512))
                hurt[at : at + length] = chance.randbytes(min(length, len(image) - at))
            _answer(enumerate_used_blocks, _reader(hurt), facts)

    def test_what_cannot_be_read_is_no_map(
        self, enumerate_used_blocks: Enumerate, facts: FilesystemFacts, image: bytes, truth: Extents
    ) -> None:
        """A read fault comes out, or the volume is taken whole, or the fault did not matter: never a short map."""
        chance = dice("faults")
        places = [0, 512, 1024, 4096, *(chance.randrange(len(image)) for _ in range(rounds(200)))]
        for at in places:
            volume = MemoryVolume(image, unreadable=Extents.of((at, 512)))
            try:
                claimed = _answer(enumerate_used_blocks, volume.open_reader(exclusive=False), facts)
            except ReadFault:
                continue
            assert claimed is None or claimed.covers(truth)


def _reader(image: bytes | bytearray) -> MemoryReader:
    return MemoryVolume(image).open_reader(exclusive=False)


def _bounded(answer: BlockMap) -> Iterator[Extents]:
    for number, window in enumerate(answer.windows):
        assert number < _MOST_WINDOWS, "the map does not end"
        yield window


def _claimed(enumerate_used_blocks: Enumerate, reader: Reader, facts: FilesystemFacts) -> Extents:
    """The whole map of a sound file system."""
    answer = enumerate_used_blocks(reader, facts)
    assert isinstance(answer, BlockMap), f"a sound file system was refused: {answer}"
    return union_of(_bounded(answer))


def _answer(enumerate_used_blocks: Enumerate, reader: Reader, facts: FilesystemFacts) -> Extents | None:
    """The map, or None where the volume is to be taken whole. Whatever else is raised comes out."""
    try:
        answer = enumerate_used_blocks(reader, facts)
        if isinstance(answer, WholeVolume):
            assert answer.reason
            return None
        return union_of(_bounded(answer))
    except (StructureFault, VolumeUnusable):
        return None
