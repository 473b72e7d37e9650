"""S3 against real servers: moto honours conditions and locks, rclone ignores both, and is found out."""

import itertools

import pytest

from holdstill.errors import TargetUnfit
from holdstill.repository.trial import Outcome, try_target
from holdstill_storage import s3, urls
from holdstill_storage.loop import run
from holdstill_storage.patience import Patience
from holdstill_storage.persistent import Persistent
from holdstill_storage.plugin import storage_target
from holdstill_storage.s3 import S3Target
from holdstill_testing.suites import TargetSuite

MIB = 1 << 20
_folders = itertools.count()


@pytest.fixture(scope="module")
def moto_bucket(moto_server):
    return moto_server.bucket()


@pytest.fixture(scope="module")
def rclone_bucket(rclone_server):
    return rclone_server.bucket()


def below(bucket):
    """A folder of its own in the bucket."""
    return bucket.replace("?", f"/folder-{next(_folders)}?")


def opened(url, **more):
    """As the plugin opens it, but for its patience."""
    patience = Patience(deadline=3)
    return Persistent(S3Target(urls.parse(url), patience, **more), patience)


def emptied(target):
    for row in list(target.list("")):
        target.delete(row.key)
    return target


@pytest.fixture(scope="module")
def moto_pair(moto_bucket):
    with opened(below(moto_bucket)) as one, opened(one.url) as other:
        one.prepare()
        yield one, other


@pytest.fixture(scope="module")
def rclone_pair(rclone_bucket):
    with opened(below(rclone_bucket)) as one, opened(one.url) as other:
        one.prepare()
        yield one, other


class TestMoto(TargetSuite):
    @pytest.fixture
    def target(self, moto_pair):
        return emptied(moto_pair[0])

    @pytest.fixture
    def second(self, moto_pair):
        return moto_pair[1]


class TestRclone(TargetSuite):
    @pytest.fixture
    def target(self, rclone_pair):
        return emptied(rclone_pair[0])

    @pytest.fixture
    def second(self, rclone_pair):
        return rclone_pair[1]

    @pytest.mark.xfail(reason="rclone writes over an object in place: a reader may see a part of it", strict=False)
    def test_1_an_overwritten_object_is_the_old_or_the_new_one(self, target, second):
        super().test_1_an_overwritten_object_is_the_old_or_the_new_one(target, second)

    @pytest.mark.xfail(reason="rclone answers for a folder with an internal error; no key is one", strict=True)
    def test_4_what_is_missing_has_its_own_error(self, target):
        super().test_4_what_is_missing_has_its_own_error(target)


def skipped(report):
    return {trial.name for trial in report.trials if trial.outcome is Outcome.SKIPPED}


def failed(report):
    return {trial.name: trial.detail for trial in report.trials if trial.outcome is Outcome.FAILED}


def test_what_honours_conditions_is_proved_to_create_exclusively(moto_bucket):
    with storage_target(below(moto_bucket)) as target:
        target.prepare()
        report = try_target(target)
    assert not failed(report)
    assert report.kept
    assert skipped(report) == {"durability"}


def test_what_ignores_conditions_is_for_one_writer_and_says_so(rclone_bucket):
    with storage_target(below(rclone_bucket)) as target:
        target.prepare()
        report = try_target(target)
        assert failed(report).keys() <= {"overwrite"}  # a race: rclone writes over an object in place
        assert skipped(report) == {"create", "race", "durability"}
        with pytest.raises(TargetUnfit, match="ignores If-None-Match"):
            target.put_if_absent("a", [b"x"])


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("key:hunter2@bucket/folder", "credentials"),
        ("bucket?endpoint=https://key:hunter2@host", "credentials"),
        ("bucket?secret=hunter2", "no such option: secret"),
        ("/folder", "no bucket"),
        ("bucket/backup#1", "#"),
    ],
)
def test_urls_that_say_what_they_should_not(address, why):
    with pytest.raises(TargetUnfit, match=why) as told:
        storage_target(f"s3://{address}")
    assert "hunter2" not in str(told.value) + told.value.next_step


def test_a_target_is_found_again_by_its_own_url():
    target = storage_target("s3://bucket/folder/?profile=a%2Bb%26c&endpoint=https://host:9000")
    assert target.inner.place.profile == "a+b&c"
    assert storage_target(target.url).inner.place == target.inner.place


def test_a_whole_object_has_the_time_of_a_large_one(moto_bucket, monkeypatch):
    with storage_target(below(moto_bucket)) as target:
        target.put("a", [b"x"])
        limits = []
        monkeypatch.setattr(s3, "run", lambda work, limit: limits.append(limit) or run(work, limit))
        target.get("a")
    assert limits[0] >= target.inner.patience.limit_for(target.properties.largest)
