"""Large objects, sent to S3 in parts: as whole, as exclusive and as well tidied up as small ones."""

import asyncio
import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdstill.errors import TargetError
from holdstill_storage import urls
from holdstill_storage.patience import Patience
from holdstill_storage.s3 import S3Target
from holdstill_testing.torture import dice

#: bytes; the smallest part that S3 takes
PART = 5 << 20
SIZE = 2 * PART + 77


@pytest.fixture(scope="module")
def bucket(moto_server):
    return moto_server.bucket()


@pytest.fixture
def opened(bucket, request):
    """A function that opens the test's own folder once more, as another process would."""
    targets = []

    def open_one(url=bucket):
        place = url.replace("?", f"/{request.node.name.replace('_', '-')}?")
        targets.append(S3Target(urls.parse(place), Patience(), part=PART))
        return targets[-1]

    yield open_one
    for target in targets:
        target.close()


def content(name):
    return dice(name).randbytes(SIZE)


def begun(target):
    """Uploads that are under way in the target's folder."""
    found = target.ask("list_multipart_uploads", Prefix=target.place.folder)
    return [upload["UploadId"] for upload in found.get("Uploads", ())]


def test_a_large_object_is_stored_whole_and_in_parts(opened):
    target, whole = opened(), content("whole")
    target.put("packs/a", [whole[:1000], memoryview(whole)[1000:PART], whole[PART:]])
    assert target.requests["upload_part"] == 3
    assert "put_object" not in target.requests
    assert target.get("packs/a") == whole
    assert begun(target) == []


def test_of_racing_creates_of_a_large_object_one_wins(opened):
    targets = [opened() for _ in range(3)]
    bids = [content(f"bid {number}") for number in range(3)]
    with ThreadPoolExecutor(3) as racers:
        won = list(racers.map(lambda target, bid: target.put_if_absent("packs/a", [bid]), targets, bids))
    assert sorted(won) == [False, False, True]
    assert all(target.requests["complete_multipart_upload"] for target in targets)
    assert targets[0].get("packs/a") == bids[won.index(True)]
    assert targets[0].put_if_absent("packs/a", [content("late")]) is False
    assert begun(targets[0]) == []
    assert list(targets[0].list("probe/")) == []


def test_where_completing_ignores_the_condition_creates_are_one_request(opened, monkeypatch):
    target = opened()
    ask = target.ask

    def ignoring(verb, moved=0, /, **wanted):
        if verb == "complete_multipart_upload":
            wanted.pop("IfNoneMatch", None)
        return ask(verb, moved, **wanted)

    monkeypatch.setattr(target, "ask", ignoring)
    assert target.put_if_absent("packs/a", [content("first")]) is True
    assert target.put_if_absent("packs/a", [content("second")]) is False
    assert target.get("packs/a") == content("first")
    assert target.requests["put_object"] == 2


def test_a_part_that_fails_ends_the_upload_and_the_other_parts(opened, monkeypatch):
    target = opened()
    request, hanging, others = target.request, [], asyncio.Event()

    def failing(verb, **wanted):
        async def hang():
            hanging.append(wanted["PartNumber"])
            others.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                hanging.remove(wanted["PartNumber"])

        async def fail():
            await others.wait()
            raise ConnectionResetError("cut")

        if verb == "upload_part":
            return fail() if wanted["PartNumber"] == 1 else hang()
        return request(verb, **wanted)

    monkeypatch.setattr(target, "request", failing)
    with pytest.raises(TargetError, match="cut") as told:
        target.put("packs/a", [content("a")])
    assert told.value.is_retryable
    assert hanging == []
    monkeypatch.undo()
    assert begun(target) == []


def test_a_living_writers_upload_is_left_alone(opened):
    """Also where the service calls every upload old, as moto does."""
    living, other = opened(), opened()
    upload = living.ask("create_multipart_upload", Key=living.path("packs/living"))["UploadId"]
    other.put("packs/a", [content("a")])
    assert begun(living) == [upload]


def test_a_dead_writers_upload_is_ended_after_a_day_and_foreign_ones_never(opened, monkeypatch):
    target = opened()
    folder = target.place.folder
    uploads = {
        name: target.ask("create_multipart_upload", Key=f"{folder}{name}")["UploadId"]
        for name in ("packs/dead", "packs/young", "Holiday.mkv")
    }
    began = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    age = {uploads["packs/dead"]: 25, uploads["packs/young"]: 23, uploads["Holiday.mkv"]: 9999}
    ask = target.ask

    def dated(verb, moved=0, /, **wanted):
        reply = ask(verb, moved, **wanted)
        if verb == "list_multipart_uploads":
            for upload in reply["Uploads"]:
                upload["Initiated"] = began - dt.timedelta(hours=age.get(upload["UploadId"], 0))
        return reply

    monkeypatch.setattr(target, "ask", dated)
    target.put("packs/a", [content("a")])
    assert set(begun(target)) == {uploads["packs/young"], uploads["Holiday.mkv"]}


def test_what_is_locked_is_locked_at_any_size(opened, moto_server):
    """One request: that one was tried when the repository was made."""
    target = opened(moto_server.bucket(locks=True))
    target.lock_new(dt.timedelta(days=1), ("packs/",))
    target.put("packs/a", [content("a")])
    assert target.locked_until("packs/a") is not None
