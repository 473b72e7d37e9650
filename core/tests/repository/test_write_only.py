"""Hosts that may back up and read nothing: what they can do, what not, and when others rely on what they stored."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest

from holdstill.errors import Damaged, WriteOnly
from holdstill.model.image import Origin
from holdstill.model.requests import CopyRequest
from holdstill.model.retention import Retention
from holdstill.pipeline.transfer import Transfer
from holdstill.repository import canonical, cipher, envelope, layout, packs, segments
from holdstill.repository.codecs import Codec
from holdstill.repository.digests import Digests
from holdstill.repository.keys import Cost, Keys
from holdstill.repository.layout import BlobKind, ObjectKind
from holdstill.repository.loading import Shelf, unheard
from holdstill.repository.marks import Marks
from holdstill.repository.opening import create, open_repository
from holdstill.repository.prune import Prune
from holdstill.repository.records import Upkeep, Veiled
from holdstill.repository.records import seal as sealed_record
from holdstill.repository.retention import decide
from holdstill.repository.rows import encoded_blob
from holdstill.repository.sealing import Sealed
from holdstill.repository.verify import verify
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.memory_target import MemoryTarget

SCRIPT = Path(__file__).parents[3] / "docs/how-to/restore_image.py"
CHUNK = 65536
CHEAP = Cost(n=2, r=1, p=1)


@pytest.fixture
def full(target):
    return create(target, chunk_size=CHUNK, password=b"full", cost=CHEAP)


def admit(full, password):
    keys = Keys(full.target, full.config)
    keys.add(full.unlocked.ring.for_a_writer(), password, "", full.sealing, CHEAP)
    return open_repository(full.target, lambda: password)


@pytest.fixture
def writer(full):
    return admit(full, b"writer")


def keeping(repository):
    """A verification as a habit: everything is read, and the outcome kept."""
    return verify(repository, None, read_data=True, tell=lambda event: None, cancelled=lambda: False, keep=True)


def pruned(repository):
    work = Prune(repository, lambda event: None, lambda: False)
    return work.run(work.choose())


def test_what_it_stores_the_others_can_restore(full, writer, target, keeper):
    data = keeper.data(9, seed=1)
    image = keeper.backup(writer, data, path="/dev/secret-volume")
    (seen,) = full.images()
    signer = cipher.verifying_key(writer.unlocked.ring.signing).hex()
    assert seen.notes == (f"signed by the write-only key {signer[:16]}",)
    assert signer in {each.signer for each in Keys(target, full.config).all(full.sealing)}
    assert attrs.evolve(seen, notes=()) == image
    assert keeper.restore(full, seen) == data
    assert keeper.used(full, seen).total == len(data)
    assert keeper.verify(full).findings == ()
    assert not any(b"secret" in content for content in target.objects.values())


def test_the_stand_alone_script_restores_what_it_stored(full, writer, target, keeper, tmp_path, monkeypatch):
    data = keeper.data(30, seed=1)
    image = keeper.backup(writer, data)
    for key, whole in target.objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(whole)
    for password, code in (("full", 0), ("writer", 1)):
        monkeypatch.setenv("HOLDSTILL_PASSWORD", password)
        words = [sys.executable, "-I", SCRIPT, tmp_path, image.id, tmp_path / password]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    assert "may only write" in done.stderr
    assert (tmp_path / "full").read_bytes() == data


def test_it_can_read_nothing(full, writer, keeper):
    mine, theirs = keeper.backup(writer, b"mine"), keeper.backup(full, b"theirs")
    for attempt in (
        writer.images,
        writer.blobs,
        lambda: writer.find("latest"),
        lambda: writer.forget(theirs),
        lambda: writer.marks,
        lambda: verify(writer, None, read_data=False, tell=print, cancelled=lambda: False),
        lambda: pruned(writer),
    ):
        with pytest.raises(WriteOnly, match="one can back up, and read nothing"):
            attempt()
    records = dict(writer.records(exact=True))
    assert [type(record) for record in records.values()] == [Veiled, Veiled]
    assert [record.segments for record in records.values()] == [mine.segments, theirs.segments]
    ring = writer.unlocked.ring
    assert (ring.data, ring.opening) == (None, None)
    assert ring.signing != full.unlocked.ring.signing


def test_it_stores_nothing_twice_and_reuses_what_the_others_stored(full, writer, keeper, target):
    shared, own = keeper.data(9, seed=1), keeper.data(9, seed=2)
    keeper.backup(full, shared)
    first = keeper.backup(writer, shared + own)
    assert first.sizes.stored_size < 1.3 * len(own)
    again = keeper.backup(open_repository(target, lambda: b"writer"), shared + own)
    assert again.sizes.stored_size < 20_000
    assert keeper.restore(full, full.images()[-1]) == shared + own


def test_the_others_rely_on_it_only_after_all_of_it_was_read(full, writer, target, keeper):
    data = keeper.data(12, seed=3)
    image = keeper.backup(writer, data)
    before = keeper.backup(full, data)
    assert before.sizes.stored_size > image.sizes.stored_size / 2, "stored once more: nobody has looked at it"
    stranger = admit(full, b"second")
    more = keeper.data(12, seed=4)
    keeper.backup(writer, more)
    assert keeper.backup(stranger, more).sizes.stored_size > len(more) / 3
    assert keeping(full).findings == ()
    fresh = keeper.data(12, seed=5)
    keeper.backup(writer, fresh)
    assert keeping(full).findings == ()
    again = open_repository(target, lambda: b"full")
    assert keeper.backup(again, fresh).sizes.stored_size < 20_000
    assert keeper.backup(stranger, fresh).sizes.stored_size < 20_000
    for each in full.images():
        assert keeper.restore(full, each) in (data, more, fresh)
    assert keeper.verify(full).findings == ()


def lying_pack(repository, number, claimed, truth):
    """A pack and its segment that claim to hold ``claimed`` and hold ``truth``, signed as they should be."""
    chunk_id = repository.ids.chunk(claimed)
    builder = packs.PackBuilder()
    builder.add(encoded_blob(repository.digests, BlobKind.CHUNK, chunk_id, len(truth), (Codec.RAW, truth)))
    key = layout.pack_key(number, "00" * 16)
    repository.target.put(key, builder.seal(repository.digests, key))
    name = layout.segment_key(number, "00" * 16)
    repository.target.put(name, segments.seal(repository.digests, name, [(key, builder.rows())]))
    return key


@pytest.fixture
def lied(full, writer, keeper):
    """A host that may only write claims to have what the others will store."""
    data = bytes(range(256)) * 256
    with writer.begin("liar") as session:
        key = lying_pack(writer, session.number, data, b"?" * len(data))
        session.commit(keeper.store(writer, session, b"an image"))
    return data, key


def test_a_lie_misleads_nobody_and_is_found(full, target, keeper, lied):
    data, key = lied
    image = keeper.backup(full, data)
    assert keeper.restore(full, image) == data
    result = keeping(full)
    assert [finding.key for finding in result.findings] == [key]
    assert image.id not in result.hurt_images
    again = open_repository(target, lambda: b"full")
    assert keeper.restore(again, keeper.backup(again, data)) == data


def test_a_prune_never_lets_a_lie_stand_for_the_truth(full, target, keeper, lied):
    data, _ = lied
    first = keeper.backup(full, data + keeper.data(6, seed=7))
    second = keeper.backup(full, data)
    full.forget(first)
    for _ in range(3):
        again = open_repository(target, lambda: b"full")
        pruned(again)
        assert keeper.restore(again, second) == data
        assert again.find(second.id) == second
    assert {finding.key for finding in keeper.verify(again).findings} <= {lied[1]}


def test_a_prune_keeps_what_it_stored_and_gives_back_the_rest(full, writer, target, keeper):
    kept, gone = keeper.data(9, seed=1), keeper.data(9, seed=2)
    image, other = keeper.backup(writer, kept), keeper.backup(writer, gone)
    full.forget(other)
    before = sum(map(len, target.objects.values()))
    for _ in range(2):
        pruned(full)
    assert sum(map(len, target.objects.values())) < before * 0.7
    assert keeper.restore(full, full.find(image.id)) == kept
    assert keeper.backup(open_repository(target, lambda: b"writer"), kept).sizes.stored_size < 20_000
    assert keeper.verify(full).findings == ()


def test_joining_segments_vouches_for_nobody(full, writer, target, keeper):
    chunks = [keeper.data(3, seed=seed) for seed in range(70)]
    for data in chunks:
        keeper.backup(writer, data)
    pruned(full)
    shelf = Shelf(target, full.digests)
    shelf.take_listed_segments(unheard)
    assert shelf.strangers().all()
    assert np.count_nonzero(shelf.strangers()) >= 70


def test_a_segment_of_its_whose_packs_are_gone_goes_too(full, writer, target, keeper):
    data, more = keeper.data(6, seed=1), keeper.data(6, seed=2)
    keeper.backup(full, data)
    with writer.begin("host") as session:
        session.commit(keeper.store(writer, session, more))
        mine = set(session._lanes.segments)
    full.forget(max(full.images(), key=lambda image: image.number))
    assert mine <= target.objects.keys()
    pruned(full)
    assert not mine & target.objects.keys()
    (left,) = full.images()
    assert keeper.restore(full, left) == data
    assert keeper.verify(full).findings == ()


def test_what_it_may_not_sign_is_not_believed(full, writer, target, keeper):
    image = keeper.backup(full, b"precious")
    with writer.begin("liar") as session:
        key = session.commit_key
        target.put(key, sealed_record(writer.digests, key, Upkeep(segments=(), replaces=image.segments)))
        with pytest.raises(Damaged, match="may only write"):
            list(full.records(exact=True))
        session.abandon("")
    del target.objects[key]
    marks = Marks(target, writer.digests, True)
    marks.protect(image)
    assert {finding.problem for finding in keeper.verify(full).findings} == {
        "it is signed by somebody who may only write"
    }
    for mark in [key for key in target.objects if key.startswith("marks/")]:
        del target.objects[mark]
    for kind, name, body in (
        (ObjectKind.CHECK, layout.check_key("ab" * 16), {"at": "2026"}),
        (ObjectKind.LIST, layout.list_key("ab" * 16), {"packs": [], "numbers": []}),
    ):
        data = b"".join(envelope.seal(writer.digests, kind, name, canonical.encode(body)))
        with pytest.raises(Damaged, match="may only write"):
            envelope.unseal(full.digests, data, name, kind)
    writer.ledger().append_condemn([name for name in target.objects if name.startswith("packs/")])
    with pytest.raises(Damaged, match="may only write"):
        pruned(full)


def test_its_own_password_changes_without_new_rights(full, writer, target):
    keys = Keys(target, full.config)
    opened = keys.unlock(lambda: b"writer")
    keys.add(opened.ring, b"changed", "", writer.sealing, CHEAP)
    again = open_repository(target, lambda: b"changed")
    assert not again.sealing.may_read
    assert [each.write_only for each in keys.all(full.sealing)].count(True) == 2
    assert list(keys.damaged(full.sealing)) == []


# --- one that may only write, against another ---------------------------------------------------------


def chunk_packs(repository, data):
    """Key and rows of the packs that hold the chunks of ``data``."""
    shelf = Shelf(repository.target, repository.digests)
    shelf.take_listed_segments(unheard)
    index, wanted = shelf.index, {repository.ids.chunk(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK)}
    places = {place.pack for each in wanted for place in index.places(BlobKind.CHUNK, each)}
    return list(index.rows_of(np.array([place in places for place in range(len(index.packs))])))


def claims_falsely(liar, found):
    """A segment of the liar's, older than all others by its name: other blobs are in these packs, of the same sizes."""
    false = []
    for pack, stored in found:
        rows = stored.copy()
        rows["id"] = rows["id"][::-1] if len(rows) > 1 and (rows["id"] != rows["id"][::-1]).all() else b"\x55" * 32
        false.append((pack, rows))
    name = layout.segment_key(1, "00" * 16)
    liar.target.put(name, segments.seal(liar.digests, name, false))
    return name


def test_no_lie_of_a_writer_costs_another_writers_image(full, writer, target, keeper):
    """What the liar claims to hold, of which the other host has the only copy."""
    data = bytes(range(256)) * 256
    liar = admit(full, b"liar")
    with liar.begin("liar") as session:
        lying_pack(liar, session.number, data, b"?" * len(data))
        image = attrs.evolve(keeper.store(liar, session, b"an image"), id=session.nonce, number=session.number)
        image = attrs.evolve(image, segments=(layout.segment_key(session.number, "00" * 16), *session._lanes.segments))
        target.put(session.commit_key, sealed_record(liar.digests, session.commit_key, image))
    more = keeper.data(6, seed=7)
    first, second = keeper.backup(writer, data + more), keeper.backup(writer, data)
    full.forget(first)
    for below in (0.5, 1.0, 0.0):
        again = open_repository(target, lambda: b"full")
        work = Prune(again, lambda event: None, lambda: False, below)
        work.run(work.choose())
        assert keeper.restore(again, again.find(second.id)) == data


@pytest.mark.parametrize("who", ["writer", "full"])
def test_no_false_rows_of_a_writer_cost_anybody_an_image(full, writer, target, keeper, who):
    """What the liar says of others' packs, heard before those who stored them."""
    owner, data = {"writer": writer, "full": full}[who], keeper.data(9, seed=7)
    image = keeper.backup(owner, data)
    liar = admit(full, b"liar")
    name = claims_falsely(liar, chunk_packs(full, data))
    own = set(image.segments)
    again = open_repository(target, lambda: b"full")
    assert keeper.restore(again, again.find(image.id)) == data
    assert {finding.key for finding in keeper.verify(again).findings} == {name}
    listed = target.list  # listings are hints: they may show what the liar says, and not yet what is true
    target.list = lambda prefix: (each for each in listed(prefix) if each.key not in own)
    for _ in range(2):
        again = open_repository(target, lambda: b"full")
        pruned(again)
        assert keeper.restore(again, again.find(image.id)) == data


def test_what_is_no_box_keeps_the_stand_alone_script_from_no_good_copy(full, writer, target, keeper, tmp_path):
    data = bytes(range(256)) * 256
    with writer.begin("liar") as session:
        # a box to the public key that is all zeros, with which nobody shares anything
        blob = encoded_blob(writer.digests, BlobKind.CHUNK, full.ids.chunk(data), len(data), (Codec.RAW, data))
        blob = attrs.evolve(blob, payload=b"\3" + bytes(blob.size - 1))
        blob = attrs.evolve(blob, digest=full.digests.of_blob(blob.row[:-16], blob.payload))
        builder = packs.PackBuilder()
        builder.add(blob)
        for random, digests in (("00" * 16, writer.digests), ("01" * 16, open_elsewhere(writer))):
            key = layout.pack_key(session.number, random)
            target.put(key, builder.seal(digests, key))
    image = keeper.backup(full, data)
    for key, whole in target.objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(whole)
    words = [sys.executable, "-I", SCRIPT, tmp_path, image.id, tmp_path / "out"]
    environment = {**os.environ, "HOLDSTILL_PASSWORD": "full"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == data
    assert done.stderr.count("left out") == 2
    assert keeper.restore(full, image) == data
    assert {finding.key[:6] for finding in keeper.verify(full).findings} == {"packs/"}


def open_elsewhere(writer):
    """The digests of somebody who knows the writer's keys and was never admitted."""
    ring = attrs.evolve(writer.unlocked.ring, signing=cipher.new_signing_key())
    return Digests(writer.config.digest, ring.ids, Sealed(ring))


def copied(source, target):
    transfer = Transfer(source, target, Conversation(), 1)
    return transfer.run(CopyRequest(to_url=target.target.url)).copies


@pytest.mark.parametrize("where", ["there", "here"])
def test_no_lie_about_where_an_image_was_made_keeps_it_from_being_copied(full, writer, keeper, where):
    other = create(MemoryTarget(), chunk_size=CHUNK, password=b"other", cost=CHEAP)
    source, target = (other, full) if where == "there" else (full, other)
    data = keeper.data(6, seed=1)
    with writer.begin("host") as session:
        if where == "there":
            image = keeper.backup(source, data)
        else:
            with source.begin("host") as mine:
                image = mine.commit(keeper.store(source, mine, data))
        lie = Origin(source.config.repository_id, image.id)
        session.commit(
            attrs.evolve(keeper.store(writer, session, b"lie" * 9999), origin=lie, taken="2020-01-01T00:00:00Z")
        )
    for _ in range(2):
        made = {each.image: each for each in copied(source, target)}
        assert keeper.restore(target, target.find(made[image.id].copy)) == data
    more = data + keeper.data(3, seed=2)
    later = keeper.backup(source, more)
    made = {each.image: each for each in copied(source, target)}
    assert keeper.restore(target, target.find(made[later.id].copy)) == more


def test_what_it_signs_takes_no_others_place_in_what_a_policy_keeps(full, writer, keeper):
    mine = keeper.backup(full, b"mine")
    theirs = [keeper.backup(writer, data) for data in (b"lie", b"lies")]
    assert {image.volume.identity for image in (mine, *theirs)} == {mine.volume.identity}
    now = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    kept = {each.image for each in decide(full.images(), Retention(last=1), now) if each.kept}
    assert kept == {mine.id, theirs[-1].id}
