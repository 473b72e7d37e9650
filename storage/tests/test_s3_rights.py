"""The rights that the how-to page gives are enough, and none is to spare, before a server that enforces them."""

import datetime as dt
import json
import re
import urllib.request
from pathlib import Path

import pytest
from botocore.session import get_session

from holdstill.errors import TargetDenied
from holdstill.model.requests import PruneRequest
from holdstill.repository.opening import create, open_repository
from holdstill.repository.upkeep import prune
from holdstill_storage.plugin import storage_target
from holdstill_testing import servers
from holdstill_testing.conversations import Agreeing
from holdstill_testing.tiny import back_up, restored

PAGE = Path(__file__).parents[2] / "docs/how-to/store-in-s3.md"
LARGE = 33 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory, s3_credentials):
    """One of our own: that it enforces rights holds for all of it."""
    with servers.moto_s3(tmp_path_factory.mktemp("strict")) as server:
        yield server


def on_the_page():
    """The statements of the page's policy, for a bucket called so."""
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return json.loads(text)["Statement"]


def with_locks():
    """The same, and what the page adds for a repository with object lock."""
    (more,) = re.findall(r"With object lock \(below\) add (.*?); never", PAGE.read_text(), re.DOTALL)
    listing, objects = on_the_page()
    for statement, text in zip((listing, objects), more.split(" to the first statement, and"), strict=True):
        statement["Action"] += re.findall(r"`(s3:\w+)`", text)
    return [listing, objects]


@pytest.fixture
def granted(server, monkeypatch):
    """Become somebody with these rights to a fresh bucket; its URL."""

    def become(statements, *, locks=False):
        enforce(server, "inf")
        url = server.bucket(locks=locks)
        name = url.removeprefix("s3://").partition("?")[0]
        # moto does not look at conditions: whoever may list a prefix may list the bucket there.
        bare = [{word: value for word, value in each.items() if word != "Condition"} for each in statements]
        policy = json.dumps({"Version": "2012-10-17", "Statement": bare}).replace("BUCKET", name)
        iam = get_session().create_client("iam", endpoint_url=server.endpoint, region_name="us-east-1")
        try:
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy.replace("FOLDER", "folder"))
            key = iam.create_access_key(UserName=name)["AccessKey"]
        finally:
            iam.close()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        enforce(server, "0")
        return url

    yield become
    enforce(server, "inf")


def enforce(server, after):
    """From now on, but for so many requests."""
    plain = {"Content-Type": "text/plain"}
    asked = urllib.request.Request(f"{server.endpoint}/moto-api/reset-auth", after.encode(), plain, method="POST")
    with urllib.request.urlopen(asked) as reply:
        assert reply.status == 200


def everything(url):
    """All that a repository does."""
    with storage_target(url.replace("?", "/folder?")) as target:
        repository = create(target)
        dropped, kept = back_up(repository, "abcdefgh"), back_up(repository, "ab")
        target.put("probe/large", [bytes(LARGE)])
        repository.forget(dropped)
        assert prune(repository, PruneRequest(repack_below=1.0), Agreeing(), dt.datetime.now(dt.UTC)).deleted_packs
        assert restored(open_repository(target), kept)


def test_what_the_page_grants_is_enough(granted):
    everything(granted(on_the_page()))


ASKING = {
    "s3:ListBucket": lambda target: list(target.list("")),
    "s3:GetObject": lambda target: target.get("probe/a"),
    "s3:PutObject": lambda target: target.put("probe/a", [b"x"]),
    "s3:DeleteObject": lambda target: target.delete("probe/a"),
}


def test_what_the_page_adds_for_locks_is_enough(granted):
    with storage_target(granted(with_locks(), locks=True).replace("?", "/folder?")) as target:
        repository = create(target, lock_for=dt.timedelta(days=1))
        image = back_up(repository, "ab")
        repository.forget(back_up(repository, "cd"))
        assert prune(repository, PruneRequest(), Agreeing(), dt.datetime.now(dt.UTC)).locked_packs
        (unlocked,) = [listed.key for listed in target.list("index/") if listed.key.startswith("index/0000000001")]
        target.delete(unlocked)
        assert restored(open_repository(target), image)


def test_each_of_them_is_needed(granted):
    for action, asking in ASKING.items():
        rights = [{**each, "Action": [one for one in each["Action"] if one != action]} for each in on_the_page()]
        assert rights != on_the_page()
        with storage_target(granted(rights).replace("?", "/folder?")) as target, pytest.raises(TargetDenied):
            asking(target)


def test_they_end_with_the_folder(granted):
    with storage_target(granted(on_the_page()).replace("?", "/other?")) as target:
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            with pytest.raises(TargetDenied):
                ASKING[action](target)
