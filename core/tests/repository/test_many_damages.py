"""Random damages to a repository that has everything in it, sealed or not: each is found, and none is restored
silently.
"""

from __future__ import annotations

import contextlib

import pytest

from holdstill.errors import HoldstillError
from holdstill.repository import layout
from holdstill.repository.checks import Check, Checks
from holdstill.repository.keys import Keys
from holdstill.repository.opening import open_repository
from holdstill.repository.prune import Prune
from holdstill.repository.repository import Repository
from holdstill.repository.verify import verify
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.sealed import CHEAP, PASSWORD
from holdstill_testing.tiny import back_up, content, restored, shrunk, tiny
from holdstill_testing.torture import dice, full

#: of the host that may only write
WRITER = b"writer"
#: what may be missing without anybody knowing that it was there
UNKNOWN = ("images/", "marks/", "checks/", "rolls/", "keys/")


class Life:
    """A repository that has lived: images, one forgotten and one protected, writers that gave up, a prune with a list,
    a verification, and a roll if it is old; and every object as it was before it was changed. With a password it is
    sealed, and one of its hosts may only write.
    """

    def __init__(self, given_up, password):
        self.target = MemoryTarget()
        self.past = []
        self.password = password
        repository = tiny(self.target, password)
        if password:
            ring = repository.unlocked.ring.for_a_writer()
            Keys(self.target, repository.config).add(ring, WRITER, "", repository.sealing, CHEAP)
        writer = self.repository(password and WRITER)
        self.images = [back_up(repository, "abcdef"), back_up(repository, "cdefgh."), back_up(writer, "efgh..ab")]
        for _ in range(given_up):
            with repository.begin("host"):
                pass
        self.past.append(dict(self.target.objects))
        repository.forget(self.images.pop(0))
        self.past.append(dict(self.target.objects))
        repository.marks.protect(self.images[0])
        work = Prune(repository, lambda _: None, lambda: False, 1.0)
        work.run(work.choose())
        self.images.append(back_up(repository, "hgfedcba"))
        Checks(repository).add(Check("2026-01-01T00:00:00.000000Z", "host", (self.images[0].id,)))
        self.whole = dict(self.target.objects)
        kinds = {"config", "ledger", "packs", "index", "images", "marks", "checks", *(["keys"] if password else [])}
        assert {key.partition("/")[0] for key in self.whole} - {"rolls"} == kinds

    def repository(self, password=None):
        """As it is opened, but for the sizes that make it tiny."""
        stored = open_repository(self.target, lambda: password or self.password)
        return Repository(self.target, shrunk(stored.config), stored.unlocked)

    def findings(self):
        """Of a whole verification; an error of ours is one too."""
        try:
            result = verify(self.repository(), None, read_data=True, tell=lambda _: None, cancelled=lambda: False)
        except HoldstillError as error:
            return [error]
        return result.findings

    def never_wrong(self):
        """Every image, also one that came back, restores to what it was, or an error of ours says why not. How many of
        those did that should.
        """
        right, due = 0, {image.id: image.volume.path for image in self.images}
        with contextlib.suppress(HoldstillError):
            repository = self.repository()
            for image in repository.images(on_damage=lambda _: None):
                with contextlib.suppress(HoldstillError):
                    letters = due.get(image.id, image.volume.path)
                    assert restored(repository, image) == content(letters), f"image {image.number} is something else"
                    right += image.id in due
        return right


@pytest.fixture(scope="module", params=[None, PASSWORD], ids=["plain", "sealed"])
def password(request):
    return request.param


@pytest.fixture(scope="module")
def young(password):
    return Life(1, password)


@pytest.fixture(scope="module")
def life(password):
    old = Life(60, password)
    assert "rolls/64/0000000001" in old.whole
    return old


@pytest.fixture(scope="module")
def strangers(password):
    """Other repositories, of the same volumes: with the same password, and with none."""
    return [Life(60, password), Life(60, None)]


def flipped(draw, life, _):
    key = draw.choice(sorted(life.whole))
    data = bytearray(life.whole[key])
    for _ in range(draw.choice([1, 1, 1, 2, 20])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return {key: bytes(data)}


def cut(draw, life, _):
    key = draw.choice(sorted(life.whole))
    return {key: life.whole[key][: draw.randrange(len(life.whole[key]))]}


def longer(draw, life, _):
    key = draw.choice(sorted(life.whole))
    return {key: life.whole[key] + draw.randbytes(draw.choice([1, 58, 4096]))}


def zeroed(draw, life, _):
    key = draw.choice(sorted(life.whole))
    data = bytearray(life.whole[key])
    first = draw.randrange(len(data))
    past = draw.randrange(first, len(data)) + 1
    data[first:past] = bytes(past - first)
    return {key: bytes(data)}


def swapped(draw, life, _):
    one, other = draw.sample(sorted(life.whole), 2)
    return {one: life.whole[other], other: life.whole[one]}


def swapped_within_a_kind(draw, life, _):
    kind = draw.choice(["ledger/", "packs/", "index/", "images/", "marks/"])
    one, other = draw.sample([key for key in sorted(life.whole) if key.startswith(kind)], 2)
    return {one: life.whole[other], other: life.whole[one]}


def of_another_repository(draw, life, strangers):
    key, other = draw.choice(sorted(life.whole)), draw.choice(strangers).whole
    alike = [each for each in sorted(other) if each.partition("/")[0] == key.partition("/")[0]]
    return {key: other[draw.choice(alike or ["config"])]}


def renamed(draw, life, _):
    """Right in itself, and at a place of its own kind that was free."""
    key = draw.choice([key for key in sorted(life.whole) if key != "config"])
    last = draw.choice([digit for digit in "0123456789" if digit != key[-1]])
    name = key[:-1] + last
    return {} if name in life.whole else {name: life.whole[key], key: None}


def removed(draw, life, _):
    return {draw.choice(sorted(life.whole)): None}


def several_removed(draw, life, _):
    return dict.fromkeys(draw.sample(sorted(life.whole), draw.randint(2, 6)))


def replayed(draw, life, _):
    """What once stood under that key, or what was deleted since."""
    past = draw.choice(life.past)
    old = {key: data for key, data in past.items() if life.whole.get(key) != data}
    return {key: old[key] for key in draw.sample(sorted(old), draw.randint(1, min(4, len(old))))}


WAYS = [
    flipped, flipped, flipped, cut, longer, zeroed, swapped, swapped_within_a_kind, of_another_repository, renamed,
    removed, several_removed, replayed,
]  # fmt: skip


def must_be_found(life, damage, way):
    """Can it be told from a repository that nobody touched?"""
    changed = {key for key, data in damage.items() if data != life.whole.get(key)}
    if way is replayed:  # whole objects of this repository: what they say was true once, but for a deleted image
        return any(key.startswith("images/") for key in changed)
    gone = {key for key in changed if damage[key] is None}
    # Without its record an image was never there, and what its writer stored is what a killed one leaves.
    unknown = UNKNOWN + tuple(
        f"{folder}/{key[7:17]}/" for key in gone if key.startswith("images/") for folder in ("index", "packs")
    )
    return bool(changed - gone) or any(not key.startswith(unknown) for key in gone)


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_each_of_many_random_damages_is_found_and_none_is_restored(young, life, strangers, record_property):
    draw, number = dice("many damages"), 10_000 if full() else 100
    injected = healthy = 0
    for each in (young, life):
        assert each.findings() == ()
        assert each.never_wrong() == 3
    for at in range(number):
        way, hit = draw.choice(WAYS), young if at % 20 else life
        damage = way(draw, hit, strangers)
        try:
            for key, data in damage.items():
                if data is None:
                    hit.target.objects.pop(key, None)
                else:
                    hit.target.objects[key] = data
            injected += bool(damage)
            if must_be_found(hit, damage, way):
                assert hit.findings(), (way.__name__, sorted(damage))
            healthy += hit.never_wrong() == 3
        finally:
            hit.target.objects = dict(hit.whole)
    assert injected > healthy > 0
    record_property("rounds", number)
    record_property("faults", injected)


# --- foreign things ----------------------------------------------------------------------------------


FOREIGN = (
    "packs/readme", "index/0000000001/notes", "ledger/latest", "images/0000000001", "marks/x/1", "checks/short",
    "rolls/64/1", "lost-and-found/x", "thumbs", "packs/0000000001/" + "f" * 31, "pulse/x",
)  # fmt: skip


def test_foreign_objects_change_nothing(life):
    try:
        for key in FOREIGN:
            life.target.objects[key] = b"not ours"
        assert life.findings() == ()
        assert life.never_wrong() == 3
        assert len(life.repository().images()) == 3
        fresh = back_up(life.repository(), "xyz")
        assert restored(life.repository(), fresh) == content("xyz")
        work = Prune(life.repository(), lambda _: None, lambda: False, 1.0)
        work.run(work.choose())
        assert all(life.target.objects[key] == b"not ours" for key in FOREIGN)
    finally:
        life.target.objects = dict(life.whole)


@pytest.mark.parametrize("folder", ["ledger", "packs", "index", "images", "marks", "checks", "rolls"])
def test_an_object_of_a_newer_format_is_named(life, folder):
    """It is never taken for what it is not, never deleted as garbage, and the user is told what to do."""
    key = max(key for key in life.whole if key.startswith(f"{folder}/"))
    newer = bytearray(life.whole[key])
    newer[9] = layout.VERSION + 1
    life.target.objects[key] = bytes(newer)
    try:
        findings = life.findings()
        assert key in {finding.key for finding in findings}
        if folder != "packs":  # of a pack it is the digest that tells: its rows are read from its end
            assert any("version 2" in finding.problem for finding in findings)
        life.never_wrong()
        with contextlib.suppress(HoldstillError):
            work = Prune(life.repository(), lambda _: None, lambda: False, 1.0)
            work.run(work.choose())
        if folder in {"ledger", "images"}:
            assert {each for each in life.whole if each.startswith("packs/")} <= life.target.objects.keys()
    finally:
        life.target.objects = dict(life.whole)
