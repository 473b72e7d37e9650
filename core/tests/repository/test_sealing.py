"""Sealed repositories: nothing can be read or changed without a key, and everything else works as it does unsealed."""

from __future__ import annotations

import contextlib
import itertools
import re

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import (
    Damaged,
    FormatTooNew,
    HoldstillError,
)
from holdstill.repository import cipher, envelope, layout
from holdstill.repository.config import Config
from holdstill.repository.keyring import Keyring
from holdstill.repository.layout import BlobKind, ObjectKind
from holdstill.repository.opening import create, open_repository
from holdstill.repository.prune import Prune
from holdstill.repository.sealing import PLAIN, Sealed, Signer
from holdstill.repository.verify import verify
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.sealed import CHUNK, PASSWORD, make, open_again
from holdstill_testing.torture import full

IDENTITY = "0123456789abcdef" * 2
RING = Keyring.fresh(IDENTITY)
WRITER = RING.for_a_writer()


# --- boxes and signatures -----------------------------------------------------------------------


@given(st.binary(max_size=3000), st.binary(max_size=60), st.sampled_from([RING, WRITER]))
def test_what_is_closed_opens_as_it_was(plain, bound, ring):
    closer, opener = Sealed(ring), Sealed(RING)
    for_all, for_readers = closer.close_index(plain, bound), closer.close_data(plain, bound)
    assert opener.open_index(for_all, bound) == plain == opener.open_data(for_readers, bound)
    assert Sealed(WRITER).open_index(for_all, bound) == plain
    assert (len(for_all), len(for_readers)) == (len(plain) + closer.index_box, len(plain) + closer.data_box)
    named, value = opener.unveiled(closer.veiled(bound, plain, b"x"), b"x")
    assert (named, value) == (bound, plain)
    assert Sealed(WRITER).unveiled(closer.veiled(bound, plain, b"x"), b"x") == (bound, None)
    with pytest.raises(Damaged):
        Sealed(WRITER).open_data(for_readers, bound)


@given(st.data())
def test_a_box_that_is_not_whole_does_not_open(data):
    plain, bound = data.draw(st.binary(max_size=200)), data.draw(st.binary(max_size=20))
    closer = Sealed(data.draw(st.sampled_from([RING, WRITER])))
    opener = Sealed(RING)
    for box, opened in (
        (closer.close_index(plain, bound), opener.open_index),
        (closer.close_data(plain, bound), opener.open_data),
        (closer.veiled(b"n", plain, bound)[5:], opener.open_data),
    ):
        at = data.draw(st.integers(0, len(box) - 1))
        flipped = box[:at] + bytes([box[at] ^ 1 << data.draw(st.integers(0, 7))]) + box[at + 1 :]
        for wrong, to in ((flipped, bound), (box[:at], bound), (box + b"\0", bound), (box, bound + b"?"), (b"", bound)):
            with pytest.raises(Damaged):
                opened(wrong, to)
        with pytest.raises(Damaged):
            getattr(Sealed(Keyring.fresh(IDENTITY)), opened.__name__)(box, bound)
        with pytest.raises(Damaged):
            getattr(Sealed(attrs.evolve(RING, repository_id="ff" * 16)), opened.__name__)(box, bound)


def test_whose_signature_it_is():
    digest = bytes(range(32))
    ours, theirs, stranger = Sealed(RING), Sealed(WRITER), Sealed(RING.for_a_writer())
    assert ours.signer(b"pack", digest, ours.sign(b"pack", digest)) is Signer.AUTHORITY
    assert ours.signer(b"pack", digest, theirs.sign(b"pack", digest)) is Signer.STRANGER
    assert theirs.signer(b"pack", digest, theirs.sign(b"pack", digest)) is Signer.OURSELVES
    assert theirs.signer(b"pack", digest, stranger.sign(b"pack", digest)) is Signer.STRANGER
    signature = theirs.sign(b"pack", digest)
    for at in range(len(signature)):
        with pytest.raises(Damaged):
            ours.signer(b"pack", digest, signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :])
    for what, of in ((b"object", digest), (b"pack", digest[::-1])):
        with pytest.raises(Damaged):
            ours.signer(what, of, signature)
    forged = attrs.evolve(WRITER, signing=cipher.new_signing_key())
    with pytest.raises(Damaged):
        ours.signer(b"pack", digest, Sealed(forged).sign(b"pack", digest))
    elsewhere = attrs.evolve(RING, repository_id="ff" * 16)
    with pytest.raises(Damaged):
        Sealed(elsewhere).signer(b"pack", digest, signature)


def test_a_public_key_that_is_none_is_refused():
    with pytest.raises(Damaged):
        cipher.shared(RING.opening, bytes(32))
    with pytest.raises(Damaged):
        Sealed(RING).open_data(b"\x03" + bytes(100), b"")


@pytest.mark.parametrize("ring", [RING, WRITER], ids=["full", "write-only"])
def test_a_ring_says_nothing_of_itself(ring):
    said = f"{ring!r} {Sealed(ring)!r} {ring}"
    for name in ("ids", "index", "data", "opening", "signing"):
        secret = getattr(ring, name)
        assert secret is None or (secret.hex() not in said and repr(secret) not in said)


# --- whole repositories -------------------------------------------------------------------------


def test_a_sealed_repository_works_like_any_other(sealed, target, keeper):
    data = keeper.data(9, seed=1)
    first = keeper.backup(sealed, data, path="/dev/secret-volume")
    again = open_again(target)
    second = keeper.backup(again, data + b"more")
    assert second.sizes.stored_size < first.sizes.stored_size / 2
    assert keeper.restore(again, first) == data
    assert keeper.restore(sealed, second) == data + b"more"
    assert keeper.used(again, first).total == len(data)
    assert again.images() == [first, second] == again.images(exact=True)
    assert keeper.verify(again).findings == ()


def test_nothing_that_is_stored_shows_what_it_is(sealed, target, keeper):
    data = b"the plain text of the volume " * 9000
    keeper.backup(sealed, data, path="/dev/secret-volume")
    keeper.backup(sealed, keeper.data(3), path="/dev/other-secret")
    ids = [sealed.ids.chunk(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK)]
    for key, content in target.objects.items():
        for word in (b"plain text", b"secret", b"offline", b"segments", PASSWORD, *ids):
            assert word not in content, (key, word)
        assert content.count(b"\0" * 12) == 0 or key == "config", key
    for secret in (
        sealed.unlocked.ring.ids,
        sealed.unlocked.ring.index,
        sealed.unlocked.ring.data,
        sealed.unlocked.ring.opening,
        sealed.unlocked.ring.signing,
    ):
        assert not any(secret in content or secret.hex().encode() in content for content in target.objects.values())


def test_a_prune_copies_what_is_sealed_and_gives_back_the_rest(sealed, target, keeper):
    kept, gone = keeper.data(4, seed=1), keeper.data(24, seed=2)
    both, alone = keeper.backup(sealed, kept + gone), keeper.backup(sealed, kept)
    before = sum(map(len, target.objects.values()))
    sealed.forget(both)
    for _ in range(2):
        work = Prune(open_again(target), lambda event: None, lambda: False, 0.9)
        work.run(work.choose())
    assert sum(map(len, target.objects.values())) < before / 2
    again = open_again(target)
    assert keeper.restore(again, again.find(alone.id)) == kept
    assert keeper.verify(again).findings == ()
    assert keeper.backup(again, kept).sizes.stored_size < 20_000


def test_damage_is_healed_by_the_next_backup(sealed, target, keeper):
    data = keeper.data(9, seed=3)
    image = keeper.backup(sealed, data)
    pack = max((key for key in target.objects if key.startswith("packs/")), key=lambda key: len(target.objects[key]))
    target.objects[pack] = target.objects[pack][:200] + b"?" + target.objects[pack][201:]
    result = verify(sealed, None, read_data=True, tell=lambda event: None, cancelled=lambda: False, keep=True)
    assert result.hurt_images == (image.id,)
    again = open_again(target)
    assert keeper.restore(again, keeper.backup(again, data)) == data == keeper.restore(again, image)


def test_no_key_and_nonce_are_used_twice(target, keeper, monkeypatch):
    used = []
    encrypt = cipher.encrypt
    monkeypatch.setattr(cipher, "encrypt", lambda key, *more: used.append(key) or encrypt(key, *more))
    writers = [make(target), open_again(target), open_again(target)]
    data = keeper.data(9)
    for turn, repository in enumerate(writers * 2):
        keeper.backup(repository, data + bytes([turn]) * 70000)
    assert len(used) > 60
    assert len(set(used)) == len(used)


def test_the_same_content_is_never_stored_as_the_same_bytes(keeper):
    one, other = MemoryTarget(), MemoryTarget()
    for target in (one, other):
        keeper.backup(make(target), b"same " * 20000)
    assert not set(one.objects.values()) & set(other.objects.values())


# --- damage -------------------------------------------------------------------------------------


@pytest.fixture
def small(sealed, keeper):
    """Two images, and what each holds; every object is small."""
    held = {}
    for text in (b"one ", b"other "):
        data = (text * CHUNK)[: 2 * CHUNK] + bytes(CHUNK) + text
        held[keeper.backup(sealed, data).id] = data
    return held


def found(keeper, repository):
    return {finding.key for finding in keeper.verify(repository).findings}


def never_wrong(keeper, objects, held):
    target = MemoryTarget()
    target.objects = dict(objects)
    for image_id, data in held.items():
        with contextlib.suppress(HoldstillError):
            repository = open_again(target)
            assert keeper.restore(repository, repository.find(image_id)) == data


def test_every_flipped_bit_is_found(sealed, target, keeper, small):
    whole = dict(target.objects)
    for key, content in whole.items():
        edges = {0, 8, 9, 10, 12, 19, *range(len(content) - 200, len(content), 23)}
        for at in range(len(content)) if full() else sorted(edges | set(range(0, len(content), 149))):
            flipped = bytearray(content)
            flipped[at] ^= 1 << at % 8
            target.objects[key] = bytes(flipped)
            assert key in found(keeper, sealed), (key, at)
            if at % 16 == 0:
                never_wrong(keeper, target.objects, small)
        target.objects[key] = content


def test_every_truncation_and_every_longer_object_is_found(sealed, target, keeper, small):
    whole = dict(target.objects)
    for key, content in whole.items():
        for length in {0, 1, 19, 20, 51, 52, *range(0, len(content), 1 if full() else 523), len(content) - 1}:
            target.objects[key] = content[:length]
            assert key in found(keeper, sealed), (key, length)
            never_wrong(keeper, target.objects, small)
        target.objects[key] = content + b"\0"
        assert key in found(keeper, sealed), key
        target.objects[key] = content


def test_every_swap_and_every_renamed_object_is_found(sealed, target, keeper, small):
    whole = dict(target.objects)
    for one, other in itertools.combinations(whole, 2):
        target.objects |= {one: whole[other], other: whole[one]}
        assert {one, other} <= found(keeper, sealed)
        never_wrong(keeper, target.objects, small)
        target.objects = dict(whole)
    for key, content in whole.items():
        if key != "config":
            renamed = "ledger/0000000003" if key.startswith("ledger/") else key[:-1] + ("2" if key[-1] == "1" else "1")
            target.objects[renamed] = content
            assert renamed in found(keeper, sealed), (key, renamed)
            del target.objects[renamed]


def test_what_is_another_repositorys_is_found(sealed, target, keeper, small):
    other, foreign = MemoryTarget(), {}
    twin = make(other)
    for data in small.values():
        keeper.backup(twin, data)
    whole = dict(target.objects)
    for key, content in other.objects.items():
        foreign.setdefault(re.split(r"[/]", key)[0], []).append(content)
    for key, mine in whole.items():
        for content in foreign[key.split("/")[0]]:
            target.objects[key] = content
            assert key in found(keeper, sealed), key
            never_wrong(keeper, target.objects, small)
        target.objects[key] = mine


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_deleted_image_that_is_put_back_is_found(target, keeper, is_sealed):
    repository = make(target) if is_sealed else create(target, chunk_size=CHUNK)
    image = keeper.backup(repository, b"old")
    key = layout.commit_key(image.number, image.id)
    record = target.objects[key]
    repository.forget(image)
    assert found(keeper, repository) == set()
    target.objects[key] = record
    assert found(keeper, repository) == {key}
    repository.forget(image)
    assert found(keeper, repository) == set()


def test_what_is_not_sealed_is_not_believed(sealed, target, keeper, small):
    """Somebody without any key writes objects that are right but for what needs a key."""
    from holdstill.repository.digests import Digests

    for key, content in dict(target.objects).items():
        if key.startswith(("ledger/", "images/", "index/")):
            kind = ObjectKind(content[8])
            for digests in (
                Digests(sealed.config.digest, sealed.unlocked.ring.ids),
                Digests(sealed.config.digest, bytes(32)),
            ):
                target.objects[key] = b"".join(envelope.seal(digests, kind, key, b'{"type":"begin"}'))
                assert key in found(keeper, sealed), key
            target.objects[key] = content
    config = sealed.config
    for forged in (attrs.evolve(config, single_writer=True), attrs.evolve(config, fanout=2)):
        target.objects["config"] = b"".join(forged.sealed(Sealed(Keyring.fresh(config.repository_id))))
        with pytest.raises(Damaged):
            open_again(target)
        target.objects["config"] = b"".join(forged.sealed())
        with pytest.raises(Damaged):
            open_again(target)


def test_a_release_that_knows_no_sealing_refuses(sealed, target):
    assert all(content[10:12] == b"\x01\0" for content in target.objects.values())
    newer = bytearray(target.objects["config"])
    newer[10] = 3
    target.objects["config"] = bytes(newer)
    with pytest.raises(FormatTooNew):
        open_again(target)


def test_the_order_of_opening(sealed, target):
    """Nothing is asked of anybody before it is known that there is a sealed repository."""
    asked = []
    with pytest.raises(HoldstillError):
        open_repository(MemoryTarget(), lambda: asked.append(1) or b"")
    plain = MemoryTarget()
    create(plain, chunk_size=CHUNK)
    assert open_repository(plain, lambda: asked.append(1) or b"").sealing is PLAIN
    assert asked == []
    assert isinstance(Config.unsealed(target.objects["config"]), Config)
    assert sealed.ids.chunk(b"x") != open_repository(plain).ids.chunk(b"x") != bytes(32)
    assert BlobKind.CHUNK
