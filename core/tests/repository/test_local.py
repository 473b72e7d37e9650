"""What a host keeps of a repository: it saves requests, and nothing else changes, whatever becomes of it."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from holdstill.errors import Damaged, HoldstillError, ImageMissing, ObjectMissing
from holdstill.repository import index, parts
from holdstill.repository.layout import BlobKind
from holdstill.repository.ledger import Ledger
from holdstill.repository.repository import Repository
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.tiny import back_up, restored, tiny_config

LETTERS = "abcdefgh"


class Counting(MemoryTarget):
    """Counts what is read, by the first part of the key."""

    def __init__(self):
        super().__init__()
        self.read = Counter()

    def get(self, key):
        self.read[key.partition("/")[0]] += 1
        return super().get(key)

    def size(self, key):
        if key not in self.objects:
            raise ObjectMissing("there is no such object", subject=key)
        return len(self.objects[key])

    def get_range(self, key, offset, length):
        self.read["ranges"] += 1
        return self.objects[key][offset : offset + length]


@pytest.fixture
def target():
    return Counting()


@pytest.fixture(params=[2, 1 << 19], ids=["small runs", "one run"])
def host(target, tmp_path, request, monkeypatch):
    """Opens the repository as a host of that name would."""
    monkeypatch.setattr(index, "SPILL", request.param)
    monkeypatch.setattr(parts, "LITTLE", 0 if request.param == 2 else 1 << 16)
    config = tiny_config(target)

    def opened(name="here"):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        target.read.clear()
        return Repository(target, config, place=place)

    opened.place = tmp_path
    opened.config = config
    return opened


def files(host, pattern, name="here"):
    return sorted((host.place / name).rglob(pattern))


def test_only_what_is_new_is_read(target, host):
    for letters in ("abc", "cde", "efg"):
        back_up(host("there"), letters)
    back_up(host(), "abcdefg")
    assert target.read["index"] == 3
    assert target.read["ledger"] >= 3
    back_up(host("there"), "xyz")
    back_up(host(), "abcdefgxyz")
    assert target.read["index"] == 2  # its own of the last time, too
    assert target.read["ledger"] <= 4  # the last that is known, two that are new, and where it ends
    assert target.read["ranges"] == 0


def test_nothing_is_stored_twice(target, host):
    back_up(host(), LETTERS)
    before = {key for key in target.objects if key.startswith("packs/")}
    back_up(host(), LETTERS)
    assert {key for key in target.objects if key.startswith("packs/")} == before


def test_images_are_listed_without_reading_them_again(target, host):
    made = [back_up(host(), letters) for letters in ("abc", "cde", "efg")]
    assert {image.id for image in host().images()} == {image.id for image in made}
    assert target.read["images"] == 3
    assert {image.id for image in host().images()} == {image.id for image in made}
    assert target.read["images"] == 0
    assert host().images(exact=True)
    assert target.read["images"] == 3
    host("there").forget(made[1])
    assert {image.id for image in host().images()} == {made[0].id, made[2].id}
    assert target.read["images"] == 1
    assert {image.id for image in host().images()} == {made[0].id, made[2].id}
    assert target.read["images"] == 0


def test_an_image_that_is_gone_is_not_found_even_where_the_listing_is_old(target, host, monkeypatch):
    old, new = back_up(host(), "abc"), back_up(host(), "abcd")
    host().images()
    listing = list(target.list("images/"))
    host("there").forget(new)
    monkeypatch.setattr(target, "list", lambda prefix: iter(listing if prefix == "images/" else ()))
    assert new.id in {image.id for image in host().images()}
    with pytest.raises(ImageMissing):
        host().find(new.id)
    assert host().find(old.id).id == old.id


def test_it_is_as_if_nothing_were_kept_where_nothing_can_be(target, host):
    (host.place / "here").write_text("no folder")
    if index.SPILL == 2:
        return  # runs cannot be written there either, and that many rows must be somewhere
    repository = Repository(target, host.config, place=host.place / "here" / "below")
    image = back_up(repository, LETTERS)
    assert restored(repository, image)


@pytest.mark.parametrize("pattern", ["catalogue", "run-*", "objects"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "zeros"])
def test_whatever_becomes_of_it_no_image_relies_on_it(target, host, pattern, damage):
    image = back_up(host(), LETTERS)
    packs = {key: target.objects.pop(key) for key in list(target.objects) if key.startswith("packs/")}
    target.objects.update(packs)
    back_up(host(), LETTERS)
    found = files(host, pattern)
    assert found
    for path in found:
        hurt(path, damage)
    again = back_up(host(), LETTERS + "z")
    for each in (image, again):
        assert restored(host(), each) == restored(Repository(target, host.config), each)
    once_more = back_up(host(), LETTERS + "z")
    assert restored(host(), once_more) == restored(host(), again)


def hurt(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
        return
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "zeros":
        data = bytearray(len(data))
    else:
        for at in range(0, len(data), 61):
            data[at] ^= 1 << at % 8
    path.write_bytes(data)


def test_rows_that_changed_on_the_disk_are_not_reused(target, host):
    """Every byte of the rows in turn."""
    back_up(host(), "abc")
    back_up(host(), "abc")
    (run,) = files(host, "run-*")
    whole = run.read_bytes()
    for at in range(0, 3 * 58, 7):
        data = bytearray(whole)
        data[at] ^= 0x10
        run.write_bytes(data)
        with host().begin("host") as session:
            for letter in "abc":
                ids = [host().ids.chunk(restored_chunk(letter))]
                seen, row = session._stock.locate(BlobKind.CHUNK, ids[0])
                assert not seen[0] or row[0]["digest"].tobytes() in whole
        run.write_bytes(whole)


def restored_chunk(letter):
    from holdstill_testing.tiny import content

    return content(letter)


def test_what_another_repository_left_there_is_not_used(target, host, tmp_path):
    back_up(host(), "abc")
    back_up(host(), "abc")
    (own,) = (each for each in (tmp_path / "here").iterdir() if each.name.startswith(host.config.repository_id))
    other = MemoryTarget()
    config = tiny_config(other)
    own.rename(own.parent / own.name.replace(host.config.repository_id, config.repository_id))
    back_up(Repository(other, config, place=tmp_path / "here"), "abc")
    assert [key for key in other.objects if key.startswith("packs/")]


def test_packs_that_no_segment_names_any_more_are_not_looked_for(target, host):
    image = back_up(host(), "abc")
    back_up(host(), "abcd")
    host("there").forget(image)
    for key in [key for key in target.objects if key.startswith(("index/0000000001", "packs/0000000001"))]:
        del target.objects[key]
    with host().begin("host") as session:
        assert not any(session.known(BlobKind.CHUNK, [host().ids.chunk(restored_chunk("a"))]))


def test_a_repository_that_was_set_back_is_noticed(target, host):
    back_up(host(), "abc")
    before = dict(target.objects)
    back_up(host(), "abcd")
    back_up(host(), "abcd")
    target.objects.clear()
    target.objects.update(before)
    with pytest.raises(Damaged, match="set back"):
        back_up(host(), "abcd")
    back_up(host("there"), "abcd")


def test_two_at_once_on_one_host(target, host):
    back_up(host("there"), LETTERS)
    first, second = host().shelf(local=True), host().shelf(local=True)
    known = list(target.list("index/"))
    with first.local.opened([each.key for each in known]) as (one, _):
        second.take_listed_segments(lambda damage: None)
        assert second.index.packs
        assert not one.packs
    first.take_listed_segments(lambda damage: None)
    assert [pack.key for pack in first.index.packs] == [pack.key for pack in second.index.packs]


def test_no_room_for_runs(target, host, monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index.Index, "_scratch_file", full)
    monkeypatch.setattr("holdstill.repository.local_index.LocalIndex._new_file", full)
    if index.SPILL == 2:
        with pytest.raises(HoldstillError, match="cannot be written"):
            back_up(host(), LETTERS)
    else:
        back_up(host(), LETTERS)
        assert not files(host, "run-*")


# --- rolls -------------------------------------------------------------------------------------------


def ledger(target, config):
    return Ledger(target, Repository(target, config).digests, exclusive=True)


def test_a_new_host_reads_the_ledger_by_rolls(target, host):
    writer = ledger(target, host.config)
    for _ in range(200):
        writer.append_begin("host", "backup")
    assert sorted(key for key in target.objects if key.startswith("rolls/")) == [
        f"rolls/64/{place:010d}" for place in (1, 2, 3)
    ]
    reader = ledger(target, host.config)
    target.read.clear()
    reader.read()
    assert target.read["rolls"] == 4
    assert target.read["ledger"] == 3 + 8 + 1
    assert reader.begun == writer.begun


@pytest.mark.parametrize("wrong", ["missing", "cut", "of others", "short"])
def test_a_roll_that_is_not_right_is_passed_over(target, host, wrong):
    writer = ledger(target, host.config)
    for _ in range(130):
        writer.append_begin("host", "backup")
    key, other = (f"rolls/64/{place:010d}" for place in (1, 2))
    whole = target.objects[key]
    bad = {"missing": None, "cut": whole[:-1], "of others": target.objects[other], "short": whole[:3000]}[wrong]
    del target.objects[key]
    if bad is not None:
        target.objects[key] = bad
    reader = ledger(target, host.config)
    reader.read()
    assert reader.begun == writer.begun
    assert [damage.subject for damage in reader.damaged_rolls()] == ([] if bad is None else [key])
    if wrong == "missing":
        reader.append_begin("host", "backup")
        assert target.objects[key] == whole  # written by who missed it


def test_an_entry_that_only_a_roll_has_is_missing(target, host):
    writer = ledger(target, host.config)
    for _ in range(64):
        writer.append_begin("host", "backup")
    for number in range(2, 65):
        del target.objects[f"ledger/{number:010d}"]
    with pytest.raises(Damaged, match="missing"):
        ledger(target, host.config).read()
    assert [damage.subject for damage in writer.damaged_rolls()] == ["rolls/64/0000000001"]


def test_rolls_are_the_same_whoever_writes_them(target, host):
    one = ledger(target, host.config)
    for _ in range(64):
        one.append_begin("host", "backup")
    whole = target.objects.pop("rolls/64/0000000001")
    two = ledger(target, host.config)
    two.append_begin("host", "backup")
    assert target.objects["rolls/64/0000000001"] == whole


# --- signs of life -----------------------------------------------------------------------------------


def test_who_shows_no_sign_of_life_is_given_up_in_the_end(host):
    repository = host()
    day = 86400.0
    silence = silence_of(host)
    begun = {7: begin("slow", 7), 8: begin("dead", 8)}
    pulses = {7: itertools.count(), 8: itertools.repeat(0)}

    def look(now):
        return silence.look(begun, lambda number: next(pulses[number]), now)

    assert [look(at * day) for at in range(8)] == [[]] * 7 + [[8]]
    begun[9] = begin("dead", 9)
    del begun[8]
    pulses[9] = itertools.repeat(0)
    # its host has just lost one: it is left alone for as long again, from when it is first seen silent
    assert [look(at * day) for at in range(8, 15)] == [[]] * 7
    assert look(15 * day) == [9]
    assert repository is not None


def test_no_clock_makes_a_look_long(host):
    silence, begun = silence_of(host), {7: begin("host", 7)}
    times = [0.0, 1e9, -1e9, 2e9, 1e12]
    assert [silence.look(begun, lambda _: 0, now) for now in times] == [[], [], [], [7], []]


def test_a_damaged_memory_is_none(host):
    silence, begun = silence_of(host), {7: begin("host", 7)}
    for text in ("", "[]", "{", '{"last": "x", "writers": [], "given_up": {"host": null}}', '{"writers": {"7": 3}}'):
        silence.path.parent.mkdir(exist_ok=True, parents=True)
        silence.path.write_text(text)
        assert silence.look(begun, lambda _: 0, 1e9) == []


def silence_of(host):
    from holdstill.repository.silence import Silence

    return Silence(host.place / "here" / "silence")


def begin(name, number):
    from holdstill.repository.ledger import Begin

    return Begin(f"{number:032x}", f"images/{number:010d}-{number:032x}", name, "backup")


def test_a_writer_gives_signs_of_life_and_takes_them_back(target, host, monkeypatch):
    from holdstill.repository import pulse

    monkeypatch.setattr(pulse, "EVERY", 0.0)
    repository = host()
    with repository.begin("host") as session:
        assert pulse.count_of(target, repository.digests, session.number) == 0
        for expected in (1, 2, 3):
            session.known(BlobKind.CHUNK, [bytes(32)])
            assert pulse.count_of(target, repository.digests, session.number) == expected
    assert not [key for key in target.objects if key.startswith("pulse/")]


def test_a_prune_gives_up_whom_it_has_not_heard_of_for_long(target, host, monkeypatch):
    from holdstill.repository import repository as module
    from holdstill.repository.prune import Prune

    dead = host("there").begin("there")
    dead._uploads.close()
    clock = itertools.count(0, 86400)
    monkeypatch.setattr(module.time, "time", lambda: next(clock))

    def prune():
        work = Prune(host(), lambda _: None, lambda: False)
        return work.run(work.choose()).waits_for

    assert [len(prune()) for _ in range(8)] == [1] * 7 + [0]
    assert dead.commit_key in target.objects


def test_long_lists_are_read_once(target, host):
    packs = [f"packs/0000000001/{number:032x}" for number in range(100)]
    host("there").ledger().append_condemn(packs)
    for expected in (1, 0):
        reader = host().ledger(kept=True)
        reader.read()
        assert reader.closed_packs == set(packs)
        assert target.read["lists"] == expected
