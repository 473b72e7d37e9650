"""Many ids are looked up at once: as if a dictionary of all rows were asked, however the rows came to lie on disk."""

from __future__ import annotations

from contextlib import contextmanager

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.errors import HoldstillError
from holdstill.repository import index as indices
from holdstill.repository import layout, parts, runs
from holdstill.repository.index import Index, mark_of
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.pack_table import PackTable
from holdstill.repository.rows import STORED
from holdstill_testing.torture import dice, rounds

#: few prefixes of eight bytes, so that many ids agree in them
IDS = st.builds(
    lambda prefix, rest: prefix.to_bytes(8, "big") + bytes(ID_SIZE - 9) + bytes([rest]),
    st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1)),
    st.integers(1, 3),
)
KINDS = st.sampled_from([BlobKind.CHUNK, BlobKind.PAGE])
PACKS = st.lists(st.lists(st.tuples(KINDS, IDS), max_size=9), max_size=8)


def stored(named, length):
    rows = np.zeros(len(named), dtype=STORED)
    for row, (kind, blob_id) in zip(rows, named, strict=True):
        row["id"], row["kind"], row["encoded"] = np.void(blob_id), kind, length
    return rows


def key_of(number):
    return layout.pack_key(1, f"{number:032x}")


@attrs.define
class Model:
    """Every row there is, the oldest first: kind, id, pack, length."""

    rows: list = attrs.field(factory=list)
    hidden: set = attrs.field(factory=set)

    def add(self, pack, named, length):
        self.rows += [(kind, blob_id, pack, length) for kind, blob_id in named]

    def locate(self, kind, blob_id, closed):
        shut = self.hidden | closed
        return next((row[2:] for row in self.rows if row[:2] == (kind, blob_id) and row[2] not in shut), None)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@contextmanager
def shaped(data):
    """What is made inside lies on disk in pieces of such sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indices, "SPILL", data.draw(st.sampled_from([1, 5, 1 << 18])))
        patch.setattr(parts, "LITTLE", data.draw(st.sampled_from([0, 8])))
        patch.setattr(indices, "_MOST_RUNS", data.draw(st.sampled_from([2, 32])))
        for name in ("_BLOCK", "_NEAR_BLOCKS", "_NEAR", "_ASKED"):
            patch.setattr(runs, name, data.draw(st.sampled_from([1, 2, 3, 64])))
        yield


def filled(index, model, packs):
    for number, named in enumerate(packs, len(index.packs)):
        index.add([(key_of(number), stored(named, number + 1))])
        model.add(key_of(number), named, number + 1)


@settings(max_examples=rounds(1000))
@given(data=st.data(), packs=PACKS)
def test_it_is_as_if_a_dictionary_were_asked(scratch, data, packs):
    with shaped(data):
        model, index = Model(), Index(scratch)
        filled(index, model, packs)
        if data.draw(st.booleans()):
            index.settle()
        supersede_some(data, index, model)
        compare(data, index, model)


@settings(max_examples=rounds(1000))
@given(data=st.data(), packs=PACKS, later=PACKS)
def test_what_was_kept_and_is_gone_is_not_found(scratch, data, packs, later):
    with shaped(data):
        model, before = Model(), Index(scratch)
        filled(before, model, packs)
        before.settle()
        index = Index(scratch, PackTable(before.packs.table.copy()), before.runs)
        gone = np.array([data.draw(st.booleans()) for _ in packs], dtype=bool)
        index.pass_over(gone)
        model.hidden = {key_of(place) for place in np.flatnonzero(gone).tolist()}
        filled(index, model, later)
        compare(data, index, model)


def supersede_some(data, index, model):
    """Somebody told falsely of these packs: what is told now stands."""
    for place in sorted(data.draw(st.sets(st.integers(0, max(0, len(index.packs) - 1)), max_size=2))):
        if place < len(index.packs):
            named = data.draw(st.lists(st.tuples(KINDS, IDS), max_size=4))
            key = index.packs[place].key
            index.supersede(place, stored(named, 77))
            model.rows = [row for row in model.rows if row[2] != key]
            model.add(key, named, 77)


def compare(data, index, model):
    known = [row[1] for row in model.rows]
    ids = data.draw(st.lists(st.one_of(IDS, st.sampled_from(known)) if known else IDS, max_size=20))
    closed = data.draw(st.sets(st.sampled_from([pack.key for pack in index.packs]))) if len(index.packs) else set()
    shut = np.array([pack.key in closed for pack in index.packs], dtype=bool)
    for kind in (BlobKind.CHUNK, BlobKind.PAGE):
        seen, found = index.locate(kind, b"".join(ids), lambda rows: ~shut[rows["pack"]])
        told = [
            (index.packs[row["pack"]].key, int(row["encoded"])) if there else None
            for there, row in zip(seen.tolist(), found, strict=True)
        ]
        assert told == [model.locate(kind, blob_id, closed) for blob_id in ids]
        for blob_id in set(ids):  # one by one it is the same
            every = [(place.key, place.length) for place in index.places(kind, blob_id)]
            assert every == [row[2:] for row in model.rows if row[:2] == (kind, blob_id) and row[2] not in model.hidden]


def made(folder, count):
    """A run of so many rows in packs of seven, and what an index needs to know of it."""
    rng = np.random.default_rng(count)
    index = Index(folder)
    index.new_file = lambda: (folder / "run").open("x+b")
    for at in range(0, count, 7):
        rows = np.zeros(min(7, count - at), dtype=STORED)
        rows["id"] = np.frombuffer(rng.bytes(ID_SIZE * len(rows)), dtype=f"V{ID_SIZE}")
        rows["kind"], rows["encoded"] = BlobKind.CHUNK, 1 + np.arange(at, at + len(rows))
        index.add([(key_of(at), rows)])
    index.settle()
    ids = [index.runs[0].span(place, 1)["id"].tobytes() for place in range(count)]
    return index.packs.table.copy(), folder / "run", ids


def anything(rows):
    return np.ones(len(rows), dtype=np.bool_)


def test_no_damage_to_a_run_makes_an_answer_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "LITTLE", 0)
    table, path, ids = made(tmp_path, 300)
    good, random = path.read_bytes(), dice("runs")
    outcomes = {"refused": 0, "missed": 0, "right": 0}
    for number in range(rounds(2000)):
        damaged = bytearray(good)
        at = random.randrange(len(good))
        if number % 3 == 0:
            damaged[at] ^= 1 << random.randrange(8)
        else:
            damaged[at : at + 500] = random.randbytes(len(damaged[at : at + 500]))
        # Before it is opened, or while it is in use.
        path.write_bytes(damaged if number % 2 else good)
        try:
            with path.open("rb") as file:
                index = Index(tmp_path, PackTable(table), [runs.Run(file, len(ids))])
            index.on_unsound = lambda: None
            path.write_bytes(damaged)
            seen, found = index.locate(BlobKind.CHUNK, b"".join(ids), anything)
        except (ValueError, HoldstillError):
            outcomes["refused"] += 1
            continue
        assert (found["encoded"][seen] == 1 + np.flatnonzero(seen)).all()
        outcomes["right" if seen.all() else "missed"] += 1
    assert all(outcomes.values()), outcomes


def test_what_is_asked_is_read_in_few_pieces_and_in_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "LITTLE", 0)
    table, path, ids = made(tmp_path, 3000)
    with path.open("rb") as file:
        index = Index(tmp_path, PackTable(table), [runs.Run(file, len(ids))])
    lengths = []

    def counted(file, length, offset, read=runs.os.pread):
        lengths.append(length)
        return read(file, length, offset)

    assert index.locate(BlobKind.CHUNK, b"".join(ids), anything)[0].all()  # so that each pack was looked at
    monkeypatch.setattr(runs.os, "pread", counted)
    assert index.locate(BlobKind.CHUNK, b"".join(ids), anything)[0].all()
    assert len(lengths) == 2
    assert sum(lengths) == path.stat().st_size
    lengths.clear()
    assert index.locate(BlobKind.CHUNK, ids[7], anything)[0].all()
    assert len(lengths) == 2
    assert max(lengths) <= 64 * 12
    lengths.clear()
    assert not index.locate(BlobKind.CHUNK, b"", anything)[0].size
    assert not lengths


def test_marks_are_of_rows_as_they_were_stored(tmp_path):
    rows = stored([(BlobKind.CHUNK, bytes([each]) * ID_SIZE) for each in range(1, 9)], 5)
    index = Index(tmp_path)
    index.add([(key_of(1), rows)])
    assert index.packs[0].mark == mark_of(rows)
    ((_, again),) = index.rows_of(np.ones(1, dtype=np.bool_))
    assert again.tobytes() == rows.tobytes()
