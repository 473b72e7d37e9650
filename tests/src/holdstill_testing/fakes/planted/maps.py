"""Readers of the toy file system's block map with one fault each, as ``enumerate_used_blocks`` functions."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator

import attrs
import numpy as np

from holdstill.errors import ReadFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.model.volume import FilesystemFacts
from holdstill.spi.reader import Reader
from holdstill_testing.fakes.toy_filesystem import enumerate_used_blocks

Answer = BlockMap | WholeVolume


def _with_windows(answer: Answer, windows: Iterable[Extents]) -> Answer:
    return attrs.evolve(answer, windows=windows) if isinstance(answer, BlockMap) else answer


def _windows(answer: Answer) -> Iterator[Extents]:
    if isinstance(answer, BlockMap):
        yield from answer.windows


def forgets_the_last_extent(reader: Reader, facts: FilesystemFacts) -> Answer:
    """A loop that ends one too early."""
    answer = enumerate_used_blocks(reader, facts)
    if isinstance(answer, WholeVolume):
        return answer
    runs = [run for window in answer.windows for run in window]
    return _with_windows(answer, [Extents.of(run) for run in runs[:-1]])


def forgets_the_last_window(reader: Reader, facts: FilesystemFacts) -> Answer:
    """A buffer that is not flushed in the end."""
    answer = enumerate_used_blocks(reader, facts)
    return _with_windows(answer, list(_windows(answer))[:-1])


def counts_blocks_from_one(reader: Reader, facts: FilesystemFacts) -> Answer:
    """Every run stands a block too far on."""
    answer = enumerate_used_blocks(reader, facts)
    step = answer.block_size if isinstance(answer, BlockMap) else 0
    return _with_windows(answer, [window.shift(step) for window in _windows(answer)])


def descends(reader: Reader, facts: FilesystemFacts) -> Answer:
    """The windows come from the end."""
    answer = enumerate_used_blocks(reader, facts)
    return _with_windows(answer, list(_windows(answer))[::-1])


def takes_everything(reader: Reader, facts: FilesystemFacts) -> Answer:
    """A map of a volume without a free block."""
    answer = enumerate_used_blocks(reader, facts)
    list(_windows(answer))
    return _with_windows(answer, [Extents.whole(reader.size)])


def sees_what_it_likes(reader: Reader, facts: FilesystemFacts) -> Answer:
    """Whatever the volume holds, it is taken for one of its kind: an empty one, if need be."""
    answer = enumerate_used_blocks(reader, facts)
    return BlockMap(4096, []) if isinstance(answer, WholeVolume) else answer


def trips_over_garbage(reader: Reader, facts: FilesystemFacts) -> Answer:
    """It unpacks before it looks."""
    _, block_size, blocks, _ = struct.unpack("<8sIII", reader.read(0, min(20, reader.size)))
    np.zeros(max(1, reader.size // 512))[blocks * block_size // 512 - 1]
    return enumerate_used_blocks(reader, facts)


def depends_on_the_hints(reader: Reader, facts: FilesystemFacts) -> Answer:
    """It maps only what two preferred reads bring."""
    answer = enumerate_used_blocks(reader, facts)
    return _with_windows(answer, [window.clip(0, 2 * reader.preferred_read) for window in _windows(answer)])


def closes_the_reader(reader: Reader, facts: FilesystemFacts) -> Answer:
    """It closes what others opened."""
    answer = enumerate_used_blocks(reader, facts)
    found = list(_windows(answer))
    reader.close()
    return _with_windows(answer, found)


def swallows_faults(reader: Reader, facts: FilesystemFacts) -> Answer:
    """What cannot be read is not used."""
    found: list[Extents] = []
    answer: Answer = BlockMap(4096, found)
    with contextlib.suppress(ReadFault):
        answer = enumerate_used_blocks(reader, facts)
        found.extend(_windows(answer))
    return _with_windows(answer, found)
