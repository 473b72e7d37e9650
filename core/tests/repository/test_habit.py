"""Verifying as a habit: in shares, kept, without false alarms beside a prune, and healed by the next backup."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from holdstill.errors import ObjectMissing
from holdstill.model.requests import PruneRequest
from holdstill.repository.checks import Check, Checks
from holdstill.repository.marks import Marks
from holdstill.repository.opening import create
from holdstill.repository.reading import Reading
from holdstill.repository.repository import Repository
from holdstill.repository.upkeep import prune
from holdstill.repository.verify import verify
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget
from holdstill_testing.tiny import back_up, content, restored, tiny_config

CHUNK = 65536
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


class Yes(Conversation):
    def ask(self, question):
        return "yes"


def verified(repository, **more):
    settings = {"read_data": True, "keep": True, **more}
    return verify(repository, None, tell=lambda event: None, cancelled=lambda: False, **settings)


def packs(target):
    return sorted(key for key in target.objects if key.startswith("packs/"))


@pytest.fixture
def tiny():
    target = MemoryTarget()
    return Repository(target, tiny_config(target))


def flip(target, key, at=30):
    whole = bytearray(target.objects[key])
    whole[at] ^= 1
    target.objects[key] = bytes(whole)


def data_pack(target):
    """The one with the image's chunks: the largest."""
    return max(packs(target), key=lambda key: len(target.objects[key]))


def test_the_outcome_is_kept(repository, keeper):
    image = keeper.backup(repository, keeper.data(6))
    verified(repository)
    checks = Checks(repository)
    assert checks.good() == {image.id}
    assert checks.of_image[image.id].read_data
    assert set(checks.of_pack) == set(packs(repository.target))


def test_the_newest_outcome_holds(repository, target, keeper):
    image = keeper.backup(repository, keeper.data(6))
    Checks(repository).add(Check("2026-01-01T00:00:00Z", "host", (image.id,), (image.id,)))
    assert Checks(repository).hurt() == {image.id}
    verified(repository)
    assert Checks(repository).good() == {image.id}


def test_damage_is_told_with_its_place_and_healed_by_the_next_backup(repository, target, keeper):
    data = keeper.data(9)
    image = keeper.backup(repository, data)
    flip(target, data_pack(target))

    result = verified(repository)
    [hurt] = result.hurt_ranges
    assert result.hurt_images == (image.id,)
    assert hurt.image == image.id
    assert list(hurt.ranges) == [(0, CHUNK)]
    assert Checks(repository).hurt() == {image.id}

    second = keeper.backup(repository, data)
    assert second.sizes.stored_size > CHUNK, "what is damaged is not relied on"
    assert keeper.restore(repository, second) == keeper.restore(repository, image) == data
    again = verified(repository)
    assert again.hurt_images == ()
    assert again.hurt_ranges == ()


def test_without_the_verification_the_damage_would_be_inherited(repository, target, keeper):
    data = keeper.data(9)
    keeper.backup(repository, data)
    flip(target, data_pack(target))
    assert keeper.backup(repository, data).sizes.stored_size < CHUNK


def test_a_healed_pack_goes_with_the_next_prune(repository, target, keeper):
    data = keeper.data(9)
    keeper.backup(repository, data)
    bad = data_pack(target)
    flip(target, bad)
    verified(repository)
    keeper.backup(repository, data)
    prune(repository, PruneRequest(), Yes(), NOW)
    assert bad not in target.objects
    assert verified(repository).findings == ()
    assert all(keeper.restore(repository, image) == data for image in repository.images())


def test_a_missing_page_hurts_the_range_below_it(tiny):
    image = back_up(tiny, "abcdefghabcd")
    reader = tiny.blobs()
    pages = {key for read in reader.plan(2, [image.chunks.root]) for key in [read.key]}
    for key in pages:
        del tiny.target.objects[key]
    result = verified(tiny, read_data=False)
    assert result.hurt_images == (image.id,)
    [hurt] = result.hurt_ranges
    assert hurt.ranges.end == image.volume.size


def test_shares_read_everything_in_turn(tiny):
    for letters in ("abcdef", "gh.abc", "hgfedcba"):
        back_up(tiny, letters)
    total = sum(len(tiny.target.objects[key]) for key in packs(tiny.target))
    read = []
    for _ in range(40):
        result = verified(tiny, reading=Reading(share=0.2))
        read.append(result.read_size)
        assert result.read_size < total * 0.6
        if set(Checks(tiny).of_pack) == set(packs(tiny.target)):
            break
    assert set(Checks(tiny).of_pack) == set(packs(tiny.target))
    assert 2 < len(read) <= 10


def test_what_was_read_lately_is_passed_over(tiny):
    back_up(tiny, "abcdef")
    lately = Reading(max_age=dt.timedelta(days=30))
    assert verified(tiny, reading=lately).read_size > 0
    again = verified(tiny, reading=lately)
    assert (again.read_size, again.left_packs) == (0, 0)
    back_up(tiny, "gh")
    assert verified(tiny, reading=lately).read_size > 0


def test_without_time_nothing_is_read_and_it_says_so(tiny):
    image = back_up(tiny, "abcdef")
    result = verified(tiny, reading=Reading(budget=0.0))
    assert result.read_size == 0
    assert result.left_packs == len(packs(tiny.target))
    assert not Checks(tiny).of_image[image.id].read_data


def test_a_fault_on_the_way_is_none_of_the_packs(tiny):
    """Read once more, what looked damaged is whole: no alarm, and no pack is closed."""
    back_up(tiny, "abcdef")
    bad = {data_pack(tiny.target)}

    class Flaky(MemoryTarget):
        def get(self, key):
            whole = super().get(key)
            if key in bad:
                bad.remove(key)
                return whole[:30] + bytes([whole[30] ^ 1]) + whole[31:]
            return whole

    flaky = Flaky()
    flaky.objects = tiny.target.objects
    assert verified(Repository(flaky, tiny.config)).findings == ()
    assert bad == set()


def test_a_target_that_takes_nothing_still_can_be_verified(tiny):
    image = back_up(tiny, "abcdef")

    class ReadOnly(MemoryTarget):
        def put(self, key, parts):
            raise ObjectMissing("it is read-only", subject=key)

    target = ReadOnly()
    target.objects = tiny.target.objects
    told = []
    result = verify(
        Repository(target, tiny.config), None, read_data=True, tell=told.append, cancelled=lambda: False, keep=True
    )
    assert result.images == (image.id,)
    assert any("could not be kept" in getattr(event, "message", "") for event in told)


class Meanwhile(MemoryTarget):
    """Shares another's objects; before the ``left``-th call to read, something happens."""

    def __init__(self, other, left, event):
        super().__init__()
        self.objects, self.left, self.event = other.objects, left, event

    def count(self):
        self.left -= 1
        if self.left == -1:
            self.event()

    def get(self, key):
        self.count()
        return super().get(key)

    def list(self, prefix):
        self.count()
        return super().list(prefix)

    def size(self, key):
        self.count()
        return super().size(key)


def verified_beside_a_prune(at, read_data):
    """Was there a prune, or had the verification ended before?"""
    target = MemoryTarget()
    repository = Repository(target, tiny_config(target))
    first, kept = back_up(repository, "abcdef"), back_up(repository, "adx")
    repository.forget(first)
    seen = Meanwhile(target, at, lambda: prune(repository, PruneRequest(repack_below=1.0), Yes(), NOW))
    result = verify(
        Repository(seen, repository.config), None, read_data=read_data, tell=lambda _: None, cancelled=lambda: False
    )
    assert result.hurt_images == (), at
    assert result.findings == (), at
    assert restored(repository, kept) == content("adx")
    return seen.left < 0


@pytest.mark.parametrize("read_data", [False, True])
def test_packs_that_a_prune_deletes_meanwhile_are_no_damage(read_data):
    """At every point of the verification: it reports what is, and not what was a moment ago."""
    at = 0
    while verified_beside_a_prune(at, read_data):
        at += 1
    assert at > 10


def test_a_deletion_that_ends_meanwhile_is_no_damage(tiny, monkeypatch):
    image = back_up(tiny, "abc")
    tiny.marks.drop(image)
    [finding] = verified(tiny).findings
    assert finding.problem == "it was deleted, and its record is there: delete it again"
    seen = Marks.given_up

    def then_deleted(self, images):
        found = list(seen(self, images))
        tiny.forget(image)
        return found

    monkeypatch.setattr(Marks, "given_up", then_deleted)
    assert verified(tiny).findings == ()


def test_a_verification_writes_no_list_where_one_process_may_write(keeper):
    target = MemoryTarget(properties=attrs.evolve(PROPERTIES, put_if_absent=False))
    repository = create(target, chunk_size=CHUNK)
    keeper.backup(repository, keeper.data(6))
    flip(target, data_pack(target))
    before = {key for key in target.objects if key.startswith("ledger/")}
    assert verified(repository).hurt_images
    assert {key for key in target.objects if key.startswith("ledger/")} == before
    assert Checks(repository).hurt()


def test_old_outcomes_are_tidied_away(tiny):
    image = back_up(tiny, "abcdef")
    for day in range(1, 6):
        Checks(tiny).add(Check(f"2026-01-0{day}T00:00:00Z", "host", (image.id,), (), True, tuple(packs(tiny.target))))
    prune(tiny, PruneRequest(), Yes(), NOW)
    assert len([key for key in tiny.target.objects if key.startswith("checks/")]) == 1
    assert Checks(tiny).of_image[image.id].at == "2026-01-05T00:00:00Z"


def test_a_damaged_outcome_is_found_and_hides_no_other(tiny):
    back_up(tiny, "abc")
    verified(tiny)
    [key] = [key for key in tiny.target.objects if key.startswith("checks/")]
    verified(tiny)
    flip(tiny.target, key)
    assert [finding.key for finding in verified(tiny).findings] == [key]
    assert Checks(tiny).good()
