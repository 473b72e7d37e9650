"""Each structure by itself: what is written is read, what is hostile is refused, and the bytes never change."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.errors import Damaged, FormatTooNew, HoldstillError
from holdstill.model.extents import Extents
from holdstill.repository import canonical, envelope, maps, packs, rows, segments
from holdstill.repository.codecs import Codec, Codecs
from holdstill.repository.config import Config
from holdstill.repository.digests import Digests, all_zero
from holdstill.repository.index import Index
from holdstill.repository.layout import ZERO_ID, BlobKind, ObjectKind, pack_key, segment_key
from holdstill.repository.pages import TreeBuilder
from holdstill.repository.rows import encoded_blob

DIGESTS = Digests("blake2b", bytes(range(32)))
KEY = "images/0000000007-" + "ab" * 16

NOT_CANONICAL = [
    *(b"", b"[]", b"1", b"nul", b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1}\n'),
    *(b'{"a":1.0}', b'{"a":NaN}', b'{"a":"\xc3\xa9"}', b"\xff", b"[" * 100000, b'{"a":' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize("body", NOT_CANONICAL, ids=range(len(NOT_CANONICAL)))
def test_only_canonical_json_is_read(body):
    with pytest.raises(Damaged):
        canonical.decode(body, "key")


@given(st.binary(max_size=200))
def test_garbage_is_no_object(data):
    for read in (
        lambda: envelope.unseal(DIGESTS, data, KEY, ObjectKind.VOID),
        lambda: packs.check_whole(DIGESTS, KEY, data),
        lambda: Config.unsealed(data),
    ):
        with pytest.raises((Damaged, FormatTooNew)):
            read()


# --- codecs -------------------------------------------------------------------------------------


def decoded(codecs, tag, encoded, length):
    room = bytearray(length)
    codecs.decode_into(tag, encoded, memoryview(room))
    return bytes(room)


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 30), st.sampled_from(["zstd", "zlib"]))
def test_codecs_come_back_and_never_grow(piece, times, codec):
    plain, codecs = piece * times, Codecs(codec)
    tag, encoded = codecs.encode(memoryview(plain))
    assert len(encoded) <= len(plain)
    assert decoded(codecs, tag, encoded, len(plain)) == plain


def test_what_compresses_only_between_the_samples_is_judged_by_the_samples():
    noise = np.random.default_rng(1).bytes(65536)
    for codec in ("zstd", "zlib"):
        assert Codecs(codec).encode(noise) == (Codec.RAW, noise)
        assert Codecs(codec).encode(noise[:32768] + bytes(32768))[0] is not Codec.RAW


def bombs():
    big = bytes(1 << 20)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(big)
    yield Codec.ZSTD, zstandard.ZstdCompressor().compress(big), 1000
    yield Codec.ZSTD, unsized, len(big)
    yield Codec.ZSTD, zstandard.ZstdCompressor().compress(big) + b"more", len(big)
    yield Codec.ZSTD, zstandard.ZstdCompressor().compress(big)[:-1], len(big)
    yield Codec.ZSTD, b"", 0
    yield Codec.ZSTD, b"garbage", 7
    yield Codec.ZLIB, zlib.compress(big), 1000
    yield Codec.ZLIB, zlib.compress(big) + b"more", len(big)
    yield Codec.ZLIB, zlib.compress(big)[:-1], len(big)
    yield Codec.ZLIB, zlib.compress(big), len(big) + 1
    yield Codec.ZLIB, b"garbage", 7
    yield Codec.RAW, b"four", 5
    yield 9, b"four", 4


@pytest.mark.parametrize(("tag", "encoded", "length"), list(bombs()))
def test_what_is_not_exactly_right_is_not_decoded(tag, encoded, length):
    with pytest.raises(Damaged):
        decoded(Codecs("zstd"), tag, encoded, length)


@given(st.binary(max_size=100), st.integers(0, 9000))
def test_all_zero(data, zeros):
    assert all_zero(bytes(zeros) + data) == (not any(data))


# --- trees --------------------------------------------------------------------------------------


class Heap:
    """Pages by id, and how they were asked for."""

    def __init__(self):
        self.pages = {}

    def known(self, kind, ids):
        return [blob_id == ZERO_ID or blob_id in self.pages for blob_id in ids]

    def encode(self, kind, blob_id, buffer):
        return blob_id, bytes(buffer)

    def add(self, kind, blobs):
        self.pages.update(blobs)
        return len(blobs)


def listed(heap, tree, fanout):
    """The elements of a tree, by recursion over whole pages: the oracle."""

    def below(page_id, height, count):
        if page_id == ZERO_ID:
            return [ZERO_ID] * count
        if height == 0:
            return [page_id]
        page, reach, found = heap.pages[page_id], fanout ** (height - 1), []
        for at in range(0, len(page), 32):
            found += below(page[at : at + 32], height - 1, min(reach, count - len(found)))
        return found

    return below(tree.root, tree.height, tree.count)


ids = st.integers(1, 3).map(lambda number: bytes([number]) * 32)


@given(st.lists(st.integers(0, 40) | st.lists(ids, max_size=9), max_size=12), st.sampled_from([2, 3, 8]))
def test_trees_hold_what_was_appended(steps, fanout):
    heap, expected = Heap(), []
    builder, same = (TreeBuilder(heap, DIGESTS, fanout) for _ in range(2))
    for step in steps:
        if isinstance(step, int):
            builder.append_zeros(step)
            expected += [ZERO_ID] * step
        else:
            builder.append(b"".join(step))
            expected += step
    tree = builder.finish()
    assert tree.count == len(expected)
    assert listed(heap, tree, fanout) == expected
    same.append(b"".join(expected))
    assert same.finish() == tree, "a list has one tree, however it was appended"


def test_a_long_run_of_zeros_costs_nothing():
    heap = Heap()
    builder = TreeBuilder(heap, DIGESTS, 1024)
    builder.append(b"\1" * 32)
    builder.append_zeros(10**12)
    builder.append(b"\2" * 32)
    tree = builder.finish()
    assert tree.count == 10**12 + 2
    assert len(heap.pages) < 10


# --- maps ---------------------------------------------------------------------------------------

runs = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 1 << 38)), max_size=30).map(
    lambda each: Extents.of(*each)
)


@given(runs)
def test_map_pieces_come_back(used):
    if used:
        assert maps.unpack(maps.pack(used), "map") == used


@given(runs, st.integers(1 << 34, 1 << 39))
def test_a_map_is_cut_the_same_however_it_arrives(used, width):
    def pieces(windows):
        heap = Heap()
        writer = maps.MapWriter(heap, DIGESTS, TreeBuilder(heap, DIGESTS, 4))
        for window in windows:
            writer.add(window)
        return writer.finish()

    assert pieces([used]) == pieces(part for _, _, part in used.windows(width, used.end))


def test_map_pieces_are_bounded_and_windows_must_ascend():
    heap = Heap()
    writer = maps.MapWriter(heap, DIGESTS, TreeBuilder(heap, DIGESTS, 4))
    starts = np.arange(200_000, dtype=np.int64) * 8192
    writer.add(Extents(starts, starts + 4096))
    writer.finish()
    assert max(len(page) for page in heap.pages.values()) == 4 + 16 * maps.LARGEST_RUNS
    writer = maps.MapWriter(heap, DIGESTS, TreeBuilder(heap, DIGESTS, 4))
    writer.add(Extents.of((100, 1)))
    with pytest.raises(ValueError, match="ascend"):
        writer.add(Extents.of((50, 1)))


@pytest.mark.parametrize(
    "columns",
    [(), (5, 0), (1 << 63, 1), (1, 1 << 63), (1 << 62, 1), (1, 0, 1, 1), *[((1 << 64) - 1, 2)], (0, 1 << 62, 1, 1)],
)
def test_hostile_map_pieces_are_refused(columns):
    count = len(columns) // 2
    with pytest.raises(Damaged):
        maps.unpack(struct.pack("<I", count) + struct.pack(f"<{len(columns)}Q", *columns), "map")
    with pytest.raises(Damaged):
        maps.unpack(struct.pack("<I", count + 1) + struct.pack(f"<{len(columns)}Q", *columns), "map")


# --- index --------------------------------------------------------------------------------------


def rows_of(blobs):
    made = [encoded_blob(DIGESTS, kind, blob_id, size, (Codec.RAW, bytes(size))) for kind, blob_id, size in blobs]
    return np.frombuffer(b"".join(blob.row for blob in made), dtype=rows.STORED)


# few prefixes, so that ids agree in their first eight bytes
some_ids = st.builds(lambda head, tail: bytes([head]) * 8 + bytes([tail]) * 24, st.integers(1, 3), st.integers(1, 4))
blob = st.tuples(st.sampled_from(BlobKind), some_ids, st.integers(0, 9))


@given(st.lists(st.lists(blob, max_size=8), max_size=12), st.sets(st.integers(0, 11)))
@settings(deadline=None)
def test_the_index_finds_what_a_plain_list_finds(stored, closed):
    index, oracle = Index(), []
    for number, blobs in enumerate(stored, 1):
        key = pack_key(number, "00" * 16)
        index.add([(key, rows_of(blobs))])
        index.add([(key, rows_of(blobs))])
        offset = envelope.HEADER.size
        for kind, blob_id, size in blobs:
            oracle.append((kind, blob_id, number - 1, offset, size))
            offset += size
    assert index.row_count == len(oracle)
    wanted = [bytes([head]) * 8 + bytes([tail]) * 24 for head in (1, 2, 3, 4) for tail in (1, 2, 3, 4)]
    for kind in BlobKind:
        for blob_id in wanted:
            places = [(place.pack, place.offset, place.length) for place in index.places(kind, blob_id)]
            assert places == [each[2:] for each in oracle if each[:2] == (kind, blob_id)]
        seen, found = index.locate(kind, b"".join(wanted), lambda held: ~np.isin(held["pack"], list(closed)))
        for blob_id, there, row in zip(wanted, seen, found, strict=True):
            open_ones = {each[2:] for each in oracle if each[:2] == (kind, blob_id) and each[2] not in closed}
            assert there == bool(open_ones)
            assert not there or (row["pack"], row["offset"], row["encoded"]) in open_ones
    flags = np.array([number % 2 == 0 for number in range(len(stored))], dtype=np.bool_)
    again = [(key, held.tobytes()) for key, held in index.rows_of(flags)]
    assert again == [
        (pack_key(at + 1, "00" * 16), rows_of(blobs).tobytes()) for at, blobs in enumerate(stored) if at % 2 == 0
    ]


def test_impossible_rows_are_refused():
    good = rows_of([(BlobKind.CHUNK, b"x" * 32, 4)])
    for field, value in (("plain", 1 << 31), ("encoded", 1 << 31), ("id", np.void(bytes(32)))):
        bad = good.copy()
        bad[field] = value
        assert rows.parse(bad.tobytes()) is None
    assert rows.parse(good.tobytes() + b"x") is None
    key = segment_key(1, "00" * 16)
    body = struct.pack("<Q16sI", 1, bytes(16), 2) + good.tobytes()
    for wrong in (body, body[:20], struct.pack("<Q16sI", 10**10, bytes(16), 1) + good.tobytes()):
        sealed = b"".join(envelope.seal(DIGESTS, ObjectKind.SEGMENT, key, wrong))
        with pytest.raises(HoldstillError):
            list(segments.unseal(DIGESTS, key, sealed))
