"""Which images a policy keeps, and why; and what it never takes."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import ClockDoubtful, UsageError
from holdstill.model.image import Image, Sizes, Tree, Unread
from holdstill.model.requests import PruneRequest
from holdstill.model.results import Worry
from holdstill.model.retention import Retention, Versions
from holdstill.model.volume import Consistency, Mode, VolumeFacts, VolumeKind
from holdstill.repository.checks import Check, Checks
from holdstill.repository.freshness import freshness
from holdstill.repository.retention import decide
from holdstill.repository.upkeep import prune
from holdstill.spi.conversation import Conversation

NOW = dt.datetime(2026, 6, 30, 12, tzinfo=dt.UTC)


def image(number, taken, path="/v", **more):
    tree = Tree(bytes(32), 0, 0)
    made = Image(
        id=f"{number:032x}",
        number=number,
        host="host",
        taken=taken if isinstance(taken, str) else taken.strftime("%Y-%m-%dT%H:%M:%SZ"),
        volume=VolumeFacts(path, path, VolumeKind.FILE, 0),
        mode=Mode.OFFLINE,
        consistency=Consistency.POINT_IN_TIME,
        sizes=Sizes(0, 0),
        chunk_size=65536,
        chunks=tree,
        map=tree,
        map_block_size=4096,
        seconds=1.0,
    )
    return attrs.evolve(made, **more)


def every(hours, count):
    """Images at these distances, the newest now; numbered from 0, the oldest first."""
    return [image(at, NOW - dt.timedelta(hours=hours * (count - 1 - at))) for at in range(count)]


def kept(images, retention, **more):
    return {int(each.image, 16) for each in decide(images, retention, NOW, **more) if each.kept}


@pytest.mark.parametrize(
    ("retention", "numbers"),
    [
        (Retention(last=3), {7, 8, 9}),
        (Retention(daily=2), {9, 7}),  # noon today, and the last of yesterday
        (Retention(daily=3, last=2), {9, 8, 7, 5}),
        (Retention(within=dt.timedelta(hours=25)), {9, 8, 7}),
        (Retention(yearly=5), {9}),
        (Retention(hourly=4), {6, 7, 8, 9}),
    ],
)
def test_rules(retention, numbers):
    assert kept(every(12, 10), retention) == numbers


def test_weeks_and_months_have_their_last_image():
    images = every(24, 60)
    taken = {int(each.id, 16): dt.datetime.fromisoformat(each.taken) for each in images}
    months = {taken[number].month for number in kept(images, Retention(monthly=2))}
    weeks = [taken[number].isocalendar().week for number in kept(images, Retention(weekly=4))]
    assert months == {5, 6}
    assert {taken[number].day for number in kept(images, Retention(monthly=2))} == {30, 31}
    assert len(set(weeks)) == len(weeks) == 4


def test_each_volume_by_itself():
    images = [image(6 - at, NOW - dt.timedelta(days=at), path=f"/v{at % 2}") for at in range(6)]
    assert kept(images, Retention(last=1)) == {6, 5}


def test_every_verdict_has_a_reason():
    verdicts = decide(every(12, 5), Retention(last=1, daily=2), NOW)
    assert [each.reason for each in verdicts if not each.kept] == ["no rule keeps it"] * 3
    assert "the newest" in verdicts[0].reason
    assert "daily 2026-06-30" in verdicts[0].reason
    assert "daily 2026-06-29" in verdicts[1].reason or "daily 2026-06-29" in verdicts[2].reason


def test_the_newest_clean_and_the_newest_verified_stay():
    images = [
        image(1, NOW - dt.timedelta(days=9)),
        image(2, NOW - dt.timedelta(days=8)),
        image(3, NOW - dt.timedelta(days=7), consistency=Consistency.FUZZY),
        image(4, NOW - dt.timedelta(days=6), unread=(Unread(0, 512),)),
        image(5, NOW - dt.timedelta(days=5)),
        image(6, NOW, consistency=Consistency.FUZZY),
    ]
    rule = Retention(last=1)
    assert kept(images, rule) == {6, 5}
    assert kept(images, rule, good={images[0].id}) == {6, 5, 1}
    assert kept(images, rule, hurt={images[4].id}) == {6, 2}
    assert kept(images, rule, good={images[2].id}, hurt={images[4].id}) == {6, 2}


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.booleans(), st.booleans()), min_size=1, max_size=30),
    st.builds(Retention, last=st.integers(0, 3), daily=st.integers(0, 3), monthly=st.integers(1, 3)),
)
def test_no_policy_leaves_a_volume_without_its_newest_clean_verified_image(drawn, retention):
    images = [
        image(
            at, NOW - dt.timedelta(hours=hours), consistency=Consistency.FUZZY if fuzzy else Consistency.POINT_IN_TIME
        )
        for at, (hours, fuzzy, _) in enumerate(drawn)
    ]
    good = {each.id for each, (_, _, verified) in zip(images, drawn, strict=True) if verified}
    clean = [each for each in images if each.consistency is Consistency.POINT_IN_TIME and each.id in good]
    numbers = kept(images, retention, good=good)
    if clean:
        assert max(clean, key=lambda each: (each.taken, each.number)).number in numbers
    assert max(images, key=lambda each: (each.taken, each.number)).number in numbers


@pytest.mark.parametrize(
    ("versions", "numbers"),
    [
        (Versions(exists=2, extra_days=None), {8, 9}),
        (Versions(exists=None, extra_days=3), {5, 6, 7, 8, 9}),  # 5 is not the newest since 6 came, 3 days ago
        (Versions(exists=3, extra_days=1), {7, 8, 9}),
        (Versions(exists=4, extra_days=0), {8, 9}),
        (Versions(exists=5, deleted=1, gone=("/v",)), {9}),
        (Versions(exists=1, deleted=None, extra_days=2, gone=("/v",)), {6, 7, 8, 9}),
    ],
)
def test_versions_as_tsm_counts_them(versions, numbers):
    assert kept(every(24, 10), Retention(versions=versions)) == numbers


@pytest.mark.parametrize("taken", [NOW + dt.timedelta(hours=1), "yesterday", "2026-01-01T00:00:00"])
def test_a_time_that_cannot_be_stops_it(taken):
    with pytest.raises(ClockDoubtful):
        decide([*every(1, 3), image(7, taken)], Retention(last=1), NOW)


@pytest.mark.parametrize("taken", [NOW + dt.timedelta(hours=1), "yesterday", "2026-01-01T00:00:00"])
@pytest.mark.parametrize("stranger", [{"path": "/w"}, {"host": "other"}, {"signer": "ab" * 32}])
@pytest.mark.parametrize("retention", [Retention(last=1), Retention(versions=Versions(exists=1))])
def test_one_hosts_time_stops_the_policy_of_no_other_volume(taken, stranger, retention):
    doubtful = [image(7, taken, **stranger), image(8, NOW - dt.timedelta(days=9), **stranger)]
    verdicts = decide([*every(1, 3), *doubtful], retention, NOW)
    assert {int(each.image, 16) for each in verdicts if each.kept} == {2, 7, 8}
    assert all("image 000000000000 of" in each.reason for each in verdicts if int(each.image, 16) > 6)


def test_a_clock_that_is_a_little_off_does_not():
    assert kept([image(1, NOW + dt.timedelta(minutes=2))], Retention(last=1)) == {1}


def test_a_policy_that_keeps_nothing_is_none():
    with pytest.raises(UsageError):
        decide(every(1, 3), Retention(), NOW)


# --- with a repository -------------------------------------------------------------------------------


class Yes(Conversation):
    def ask(self, question):
        return "yes"


@pytest.fixture
def three(repository, keeper):
    """Three images of one volume, a second apart."""
    return [keeper.backup(repository, keeper.data(6, seed=at)) for at in range(3)]


def run(repository, now=NOW, **settings):
    return prune(repository, PruneRequest(retention=Retention(last=1), **settings), Yes(), now)


def test_what_the_policy_drops_goes_with_its_data(repository, target, keeper, three):
    before = len(b"".join(target.objects.values()))
    result = run(repository)
    assert [each.id for each in repository.images()] == [three[2].id]
    assert {each.image for each in result.images if not each.kept} == {three[0].id, three[1].id}
    assert len(b"".join(target.objects.values())) < before / 2
    assert keeper.restore(repository, three[2]) == keeper.data(6, seed=2)


def test_a_dry_run_says_why_and_does_nothing(repository, target, three):
    before = dict(target.objects)
    result = run(repository, dry_run=True)
    assert target.objects == before
    assert result.deleted_packs > 0
    assert [each.kept for each in result.images] == [True, False, False]


def test_a_protected_image_stays(repository, keeper, three):
    repository.marks.protect(three[0])
    result = run(repository)
    assert {each.id for each in repository.images()} == {three[0].id, three[2].id}
    assert next(each for each in result.images if each.image == three[0].id).reason == "protected"
    assert keeper.restore(repository, three[0]) == keeper.data(6, seed=0)


def test_a_clock_behind_the_newest_image_drops_nothing(repository, target, three):
    before = dict(target.objects)
    with pytest.raises(ClockDoubtful):
        run(repository, now=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    assert target.objects == before


def test_what_is_stopped_by_a_wrong_clock_is_told_and_the_rest_goes(repository, keeper, three):
    with repository.begin("host") as session:
        made = keeper.store(repository, session, keeper.data(6, seed=7), path="/w")
        ahead = session.commit(attrs.evolve(made, taken="2031-01-01T00:00:00Z"))
    for dry_run in (True, False):
        result = run(repository, dry_run=dry_run)
        (warning,) = result.warnings
        assert f"nothing of this volume was dropped: image {ahead.id[:12]} of /w" in warning
    assert {each.id for each in repository.images()} == {three[2].id, ahead.id}
    assert run(repository, volumes=frozenset({"/v"})).warnings == ()


def test_only_the_named_volumes(repository, keeper, three):
    run(repository, volumes=frozenset({"/w"}))
    assert len(repository.images()) == 3


def test_what_verifications_said_counts(repository, three):
    Checks(repository).add(Check("2026-01-02T00:00:00Z", "host", images=(three[0].id,)))
    run(repository)
    assert {each.id for each in repository.images()} == {three[0].id, three[2].id}


# --- for monitors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "hurt", "worry"),
    [
        (image(1, NOW - dt.timedelta(hours=25)), (), Worry.NONE),
        (image(1, NOW - dt.timedelta(hours=27)), (), Worry.CRITICAL),
        (image(1, NOW), (f"{1:032x}",), Worry.CRITICAL),
        (image(1, NOW + dt.timedelta(hours=1)), (), Worry.WARNING),
        (image(1, NOW, consistency=Consistency.FUZZY), (), Worry.WARNING),
        (image(1, NOW, unread=(Unread(0, 512),)), (), Worry.WARNING),
    ],
)
def test_freshness(newest, hurt, worry):
    images = [image(0, NOW - dt.timedelta(days=90)), newest]
    [found] = freshness(images, (), dt.timedelta(hours=26), hurt, NOW)
    assert found.worry is worry
    assert bool(found.reason) == (worry is not Worry.NONE)


def test_a_time_that_cannot_be_read_hides_no_other_volume():
    found = freshness([image(0, NOW), image(1, "yesterday", "/w")], (), dt.timedelta(hours=1), (), NOW)
    assert [(each.volume, each.worry) for each in found] == [("/v", Worry.NONE), ("/w", Worry.CRITICAL)]


def test_a_volume_that_should_have_an_image_and_has_none():
    found = freshness([image(0, NOW)], ("/v", "/other"), dt.timedelta(hours=1), (), NOW)
    assert [(each.volume, each.worry) for each in found] == [("/v", Worry.NONE), ("/other", Worry.CRITICAL)]


@pytest.mark.parametrize("ahead", ["here", "there"])
def test_days_do_not_expire_by_a_clock_that_is_far_ahead(ahead):
    """Neither by this host's, nor by that of the host that made the newest image. By number is by number."""
    images, later = every(24, 10), NOW + dt.timedelta(days=400)
    if ahead == "there":
        images.append(image(99, later))
    days = Retention(versions=Versions(exists=None, extra_days=30))
    with pytest.raises(ClockDoubtful):
        decide(images, days, later)
    assert decide(images, Retention(last=2), later)
    assert decide([*images, image(100, later), image(101, later)], days, later)
    assert decide(images[:10], days, NOW + dt.timedelta(days=59))
