"""Every byte of an image may be hostile: a map or the whole volume, in bounded time and memory; never a wrong map."""

from __future__ import annotations

import contextlib
import tracemalloc
from pathlib import Path

import pytest

from holdstill.errors import StructureFault
from holdstill.model.blockmap import WholeVolume
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.ext import superblock
from holdstill_filesystems.ext.groups import read_groups
from holdstill_testing.fakes.file_reader import FileReader

#: what the parser may hold beside the process itself, bytes, and how often it may read, for the small images here
MEMORY, READS = 48 << 20, 20_000


def ask(path: Path) -> Extents | str:
    """The map, or why there is none; anything else that is raised comes out."""
    with FileReader(path) as reader:
        facts = plugin.recognise(reader)
        if facts is None or facts.name not in plugin.provider_info().filesystems:
            return "not recognised"
        try:
            found = plugin.enumerate_used_blocks(reader, facts)
            if isinstance(found, WholeVolume):
                assert found.reason
                return found.reason
            used = union_of(found.windows)
        except StructureFault as fault:
            return fault.message
        finally:
            assert reader.reads < READS
        assert used.end <= reader.size
        return used


@pytest.fixture
def answer():
    """Asks for the map of an image: it, or why there is none."""
    return ask


@contextlib.contextmanager
def bounded():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.fixture
def bounded_memory():
    """Within it no more than that may ever be held."""
    return bounded


@pytest.fixture
def place_of_bitmap():
    """Where the block bitmap of a group of an image is, in bytes."""

    def place(image, group: int) -> int:
        with FileReader(image.path) as reader:
            sb = superblock.Superblock.read(reader)
            return int(read_groups(sb, Blocks(reader, sb.block_size, sb.blocks)).bitmap[group]) * sb.block_size

    return place


@pytest.fixture
def hurt(of_kind, tmp_path):
    """A copy of the image of a kind, with bytes written over it: ``hurt(kind, (offset, bytes), ...)``."""

    def write(kind: str, *patches: tuple[int, bytes]) -> Path:
        copy = of_kind(kind).copy(tmp_path / "hurt.img")
        with copy.path.open("r+b") as image:
            for offset, data in patches:
                image.seek(offset)
                image.write(data)
        return copy.path

    return write
