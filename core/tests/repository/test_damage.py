"""Every damage to a stored object is found, and nothing damaged is ever restored as if it were whole."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from holdstill.errors import Damaged, FormatTooNew, HoldstillError
from holdstill.repository.opening import create, open_repository
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.torture import full

CHUNK = 65536


@pytest.fixture
def small(target, keeper):
    """A repository of a few hundred bytes an object, with two images; and what each holds."""
    repository = create(target, chunk_size=CHUNK)
    held = {}
    for text in (b"one ", b"other "):
        data = (text * CHUNK)[: 2 * CHUNK] + bytes(CHUNK) + text
        held[keeper.backup(repository, data).id] = data
    assert max(map(len, target.objects.values())) < 2000
    return held


def found(keeper, repository):
    return {finding.key for finding in keeper.verify(repository).findings}


def data_packs(target):
    """Those that hold a chunk of noise."""
    return [key for key, whole in target.objects.items() if key.startswith("packs/") and len(whole) > CHUNK]


def never_wrong(keeper, objects, held):
    """Each image restores to exactly what it was, or an error of ours says why not."""
    target = MemoryTarget()
    target.objects = dict(objects)
    for image_id, data in held.items():
        with contextlib.suppress(HoldstillError):
            repository = open_repository(target)
            image = repository.find(image_id)
            assert keeper.restore(repository, image) == data


def test_a_whole_repository_has_no_findings(target, keeper, small):
    result = keeper.verify(open_repository(target))
    assert result.findings == ()
    assert result.hurt_images == ()
    assert set(result.images) == set(small)
    assert result.read_size == sum(len(whole) for key, whole in target.objects.items() if key.startswith("packs/"))


def test_every_flipped_bit_is_found(target, keeper, small):
    repository = open_repository(target)
    whole = dict(target.objects)
    for key, content in whole.items():
        edges = {*range(24), *range(len(content) - 40, len(content))}
        for at in range(len(content)) if full() else sorted(edges | set(range(0, len(content), 3))):
            for bit in range(8) if full() and at in edges else (at % 8,):
                flipped = bytearray(content)
                flipped[at] ^= 1 << bit
                target.objects[key] = bytes(flipped)
                assert key in found(keeper, repository), (key, at, bit)
                if at % 16 == 0:
                    never_wrong(keeper, target.objects, small)
        target.objects[key] = content


def test_every_truncation_and_every_longer_object_is_found(target, keeper, small):
    repository = open_repository(target)
    whole = dict(target.objects)
    for key, content in whole.items():
        for length in {0, 1, 19, 20, 51, 52, *range(0, len(content), 1 if full() else 37), len(content) - 1}:
            target.objects[key] = content[:length]
            assert key in found(keeper, repository), (key, length)
            never_wrong(keeper, target.objects, small)
        target.objects[key] = content + b"\0"
        assert key in found(keeper, repository), key
        never_wrong(keeper, target.objects, small)
        target.objects[key] = content


def test_every_swap_is_found(target, keeper, small):
    repository = open_repository(target)
    whole = dict(target.objects)
    for one, other in itertools.combinations(whole, 2):
        target.objects |= {one: whole[other], other: whole[one]}
        assert {one, other} <= found(keeper, repository)
        never_wrong(keeper, target.objects, small)
        target.objects = dict(whole)


def test_every_object_under_a_name_of_its_own_kind_is_found(target, keeper, small):
    """A renamed or replayed object: right in itself, at another place."""
    repository = open_repository(target)
    for key, content in dict(target.objects).items():
        if key != "config":
            last = "2" if key.endswith("1") else "1"
            renamed = "ledger/0000000003" if key.startswith("ledger/") else key[:-1] + last
            target.objects[renamed] = content
            assert renamed in found(keeper, repository), (key, renamed)
            del target.objects[renamed]


def test_every_missing_object_is_found(target, keeper, small):
    repository = open_repository(target)
    whole = dict(target.objects)
    for key in whole:
        # A missing record is what a backup that was never finished looks like: nothing says that it was there.
        if not key.startswith("images/"):
            del target.objects[key]
            assert key in found(keeper, repository), key
            never_wrong(keeper, target.objects, small)
            target.objects = dict(whole)


def test_the_images_that_a_damage_hurts_are_named_and_no_others(repository, target, keeper):
    shared, own = keeper.data(6, seed=1), keeper.data(9, seed=2)
    first = keeper.backup(repository, shared)
    before = set(target.objects)
    second = keeper.backup(repository, shared[:-7] + own)
    (fresh,) = (key for key in data_packs(target) if key not in before)
    content = bytearray(target.objects[fresh])
    content[100] ^= 1
    target.objects[fresh] = bytes(content)
    result = keeper.verify(repository)
    assert result.hurt_images == (second.id,)
    assert [finding.key for finding in result.findings] == [fresh]
    assert keeper.verify(repository, [first]).findings == ()
    assert keeper.verify(repository, [second]).hurt_images == (second.id,)
    assert keeper.verify(repository, read_data=False).findings == ()
    assert keeper.restore(repository, first) == shared
    with pytest.raises(Damaged) as caught:
        keeper.restore(repository, second)
    assert caught.value.subject == fresh


def test_a_damaged_blob_is_taken_from_another_pack(repository, target, keeper):
    data = keeper.data(3)
    first = keeper.backup(repository, data)
    (pack,) = data_packs(target)
    whole = target.objects.pop(pack)
    keeper.backup(repository, data)
    target.objects[pack] = whole[:100] + b"?" + whole[101:]
    assert keeper.restore(repository, first) == data
    result = keeper.verify(repository)
    assert [finding.key for finding in result.findings] == [pack]
    assert result.hurt_images == ()


def test_the_next_backup_stores_lost_data_again(repository, target, keeper):
    data = keeper.data(9)
    first = keeper.backup(repository, data)
    for key in [key for key in target.objects if key.startswith("packs/")]:
        del target.objects[key]
    with pytest.raises(Damaged):
        keeper.restore(repository, first)
    again = keeper.backup(repository, data)
    assert again.sizes.stored_size > 0
    assert keeper.restore(repository, again) == data == keeper.restore(repository, first)


def test_a_damaged_record_hides_no_other_image(repository, target, keeper):
    first, second = keeper.backup(repository, b"one"), keeper.backup(repository, b"two")
    key = f"images/{first.number:010d}-{first.id}"
    target.objects[key] = target.objects[key][:-1]
    told = []
    assert repository.images(on_damage=told.append) == [second]
    assert [error.subject for error in told] == [key]
    with pytest.raises(Damaged):
        repository.images()
    assert repository.find(second.id) == second


def test_a_newer_format_is_told_apart_from_damage(repository, target):
    config = bytearray(target.objects["config"])
    config[9] = 2
    target.objects["config"] = bytes(config)
    with pytest.raises(FormatTooNew):
        open_repository(target)
