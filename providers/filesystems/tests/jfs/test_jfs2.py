"""JFS2 of AIX: images of Linux JFS, turned by a converter that shares nothing with the reader, and forged ones."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.jfs import aix, allocation, usedmap, xtree
from holdstill_testing.destruction import PatchedReader, answer, bounded, destroy, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.jfs2_images import INODE, SUPERBLOCKS, forge, to_jfs, to_jfs2
from holdstill_testing.torture import rounds

MIB = 1 << 20
MAP, BLOCK = 0x10000, 4096
READS = 5000


@pytest.fixture
def turned(tmp_path):
    """A JFS as a JFS2."""
    return lambda image: to_jfs2(image.path, tmp_path / "jfs2.img")


def found_in(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


def test_it_is_recognised(jfs, turned):
    with FileReader(turned(jfs("filled"))) as reader:
        assert plugin.recognise(reader).name == "jfs2"


def test_the_converter_goes_there_and_back(every_kind, turned, tmp_path):
    """Every byte: so what fsck says of what came back, it would say of the image itself."""
    back = to_jfs(turned(every_kind), every_kind.path, tmp_path / "back.img")

    with FileReader(back) as one, FileReader(every_kind.path) as other:
        used = every_kind.honest.clip(0, other.size)
        assert all(one.read(at, length) == other.read(at, length) for at, length in used if length < 64 * MIB)


def test_it_is_the_map_of_the_jfs_it_was(every_kind, turned):
    assert found_in(turned(every_kind)) == every_kind.honest


@pytest.mark.parametrize("kind", ["filled", "fragmented", "resized", "frozen", "new-many-groups"])
def test_nothing_it_needs_is_outside_the_map(jfs, jfs_image, turned, tmp_path, kind):
    """The destruction test. What the map of the JFS2 calls unused becomes noise; then it is a JFS again, for fsck."""
    image = jfs(kind)
    big = turned(image)
    middles = [(at + MIB, length - 2 * MIB) for at, length in image.walked().complement(image.size) if length > 8 * MIB]

    wrecked = destroy(big, tmp_path / "wrecked.img", found_in(big).union(Extents.of(*middles)))
    back = jfs_image(to_jfs(wrecked, image.path, tmp_path / "back.img"), image.sums)

    assert image.missing_from(back) is None


def test_a_block_that_is_forgotten_is_missed(jfs, jfs_image, turned, tmp_path):
    """The destruction test must be able to fail."""
    image = jfs("full")
    big = turned(image)
    used = found_in(big)

    wrecked = destroy(big, tmp_path / "wrecked.img", used.difference(Extents.of((int(used.starts[-2]), BLOCK))))
    back = jfs_image(to_jfs(wrecked, image.path, tmp_path / "back.img"), image.sums)

    assert image.missing_from(back)


@settings(max_examples=rounds(120), deadline=None)
@given(
    block=st.sampled_from([512, 1024, 2048, 4096]),
    shape=st.lists(st.sampled_from([1, 2, 7, 31, 32, 33, 500, 8192, 20000]), min_size=1, max_size=40),
    more=st.integers(1, 9000),
)
def test_every_block_size(tmp_path_factory, block, shape, more):
    least = 6 * 8192
    wanted = np.repeat(np.arange(len(shape)) % 2 == 0, shape)[:60000]
    used = np.concatenate((wanted, np.zeros(max(0, least - wanted.size) + more, dtype=bool)))
    path = tmp_path_factory.mktemp("forged") / "jfs2.img"

    bits = forge(path, block, used)

    edges = np.flatnonzero(np.diff(np.concatenate(([False], bits, [False]))))
    runs = [(int(start) * block, int(end - start) * block) for start, end in edges.reshape(-1, 2)]
    behind = (used.size * block, 16 * block)
    assert found_in(path) == Extents.of(*runs, behind)


def test_what_it_says_of_its_log(jfs, turned):
    for kind, where in (("filled", "in the image"), ("external_log", "another device")):
        with FileReader(turned(jfs(kind))) as reader:
            notes = usedmap.used_blocks_of_jfs2(reader).notes
        assert where in notes[0]
        assert "logform" in notes[0]
        assert "never replay" in notes[0]


def said(path, *patches):
    with PatchedReader(path) as reader:
        for at, data in patches:
            reader.patch(at, data)
        found = answer(reader, plugin)
        assert reader.reads < READS
        return found


def both(field, value):
    at, form = next((at, form) for name, at, form in aix.LAYOUT.fields if name == field)
    packed = struct.pack(">" + form, *value) if isinstance(value, tuple) else struct.pack(">" + form, value)
    return [(base + at, packed) for base in SUPERBLOCKS]


@pytest.mark.parametrize(
    ("state", "because"),
    [(1, "log must be replayed"), (2, "damaged"), (8, "extended"), (0x20, "smaller"), (0x40, "log")],
)
def test_a_state_that_is_not_orderly(jfs, turned, state, because):
    assert because in said(turned(jfs("filled")), *both("state", state))


@pytest.mark.parametrize("state", [0x1000, 0x2000, 0x3000])
def test_quiesced_is_orderly(jfs, turned, state):
    assert said(turned(jfs("filled")), *both("state", state)) == jfs("filled").honest


@pytest.mark.parametrize("field", ["compatible", "read_only_compatible", "incompatible"])
@pytest.mark.parametrize("bit", [0, 1, 2, 3, 31, 63])
def test_a_feature_that_is_not_known(jfs, turned, field, bit):
    known = {"compatible": (0,), "read_only_compatible": (0,), "incompatible": (0, 1, 2)}[field]

    found = said(turned(jfs("filled")), *both("version", 2), *both(field, 1 << bit))

    assert isinstance(found, Extents) if bit in known else "is not known" in found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("version", 3),
        ("size", 0),
        ("size", 2**64 - 1),
        ("bsize", 0),
        ("bsize", 8192),
        ("bsize", 2048),
        ("l2bsize", 9),
        ("l2bsize", 0xFFFFFFFF),
        ("l2bfactor", 0),
        ("pbsize", 4096),
        ("l2pbsize", 0xFFFFFFFF),
        ("agsize", 0),
        ("agsize", 8193),
        ("flag", 0x20000000),
        ("flag", 0x90000001),
        ("ait", (0, 0)),
        ("ait2", (0, 0)),
        ("ait2", (0xFFFFFF00, 4)),
        ("logpxd", (0x100, 4)),
        ("fsckpxd", (0, 0)),
        ("feature_lock", b"rollback"),
    ],
)
def test_hostile_numbers_in_both_superblocks(jfs, turned, field, value):
    more = (
        [*both("flag", 0x80000800)] if field == "logpxd" else [*both("version", 2)] if field == "feature_lock" else []
    )

    assert isinstance(said(turned(jfs("filled")), *more, *both(field, value)), str)


@pytest.mark.parametrize("page", range(6))
def test_a_page_that_is_not_what_the_others_say_is_the_whole_volume(jfs, turned, page):
    """Whoever lays out its map otherwise is not believed: here, every page as Linux has it."""
    image = jfs("filled")
    with FileReader(image.path) as reader:
        little = reader.read(MAP + page * BLOCK, BLOCK)
    big = turned(image)
    with FileReader(big) as reader:
        same = reader.read(MAP + page * BLOCK, BLOCK) == little

    assert same or isinstance(said(big, (MAP + page * BLOCK, little)), str)


@pytest.mark.parametrize("part", [slice(2048, 3072), slice(0, 16), slice(33, 374)], ids=["bits", "head", "tree"])
def test_one_flipped_bit_is_never_a_map(jfs, turned, part):
    big = turned(jfs("filled"))
    with FileReader(big) as reader:
        page = reader.read(MAP + 4 * BLOCK, BLOCK)
    for byte in range(part.start, part.stop, 7):
        assert isinstance(said(big, (MAP + 4 * BLOCK + byte, bytes([page[byte] ^ 1 << byte % 8]))), str), byte


def test_changed_images_give_the_honest_map_or_more_or_none(jfs, turned):
    image = jfs("frozen")
    big = turned(image)
    regions = Extents.of(
        *((at, 256) for at in SUPERBLOCKS),
        (INODE, 512),
        (MAP, 100),
        (MAP + 3 * BLOCK, 1400),
        (MAP + 4 * BLOCK, 400),
        (MAP + 4 * BLOCK + 2048, 2048),
    )
    with bounded(48 * MIB):
        for reader in mutations(big, regions, "jfs2/frozen", rounds(1200)):
            found = answer(reader, plugin)
            assert isinstance(found, str) or found.covers(image.honest.clip(0, reader.size)), reader.patches
            assert reader.reads < READS


def test_its_tables_are_the_other_order_of_the_same_pages():
    for name in ("control", "bitmap", "tree"):
        assert getattr(aix.JFS2, name).fields == getattr(allocation, name.upper()).fields
    assert aix.JFS2.page.fields == xtree.PAGE.fields
