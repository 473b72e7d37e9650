"""The line to a real server breaks at any request: backup, restore, verify and prune are done, and nothing is lost."""

import datetime as dt
from urllib.parse import urlsplit

import pytest

from holdstill.model.requests import PruneRequest
from holdstill.repository.repository import Repository
from holdstill.repository.upkeep import prune
from holdstill.repository.verify import verify
from holdstill_storage import urls
from holdstill_storage.patience import Patience
from holdstill_storage.persistent import Persistent
from holdstill_storage.s3 import S3Target
from holdstill_storage.sftp import SftpTarget
from holdstill_testing.broken_line import Break, broken_line
from holdstill_testing.conversations import Agreeing
from holdstill_testing.tiny import back_up, content, restored, tiny_config
from holdstill_testing.torture import dice, full

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]

QUICK = (Break.LOST_REQUEST, Break.TORN_REQUEST, Break.LOST_REPLY, Break.TORN_REPLY)
SLOW = (Break.SILENCE, Break.LATE)
#: a request without an answer is given up after so many seconds; a slow host that takes longer only asks again
LIMIT = 6


@pytest.fixture(params=["s3", "sftp"])
def place(request, tmp_path, monkeypatch):
    """The straight URL, the URL by way of a line, and the line."""
    if request.param == "s3":
        url = request.getfixturevalue("moto_server").bucket()
        port = urlsplit(url.partition("endpoint=")[2]).port
    else:
        server = request.getfixturevalue("ssh_server")
        url, port = server.url(tmp_path / "repository"), server.port
    with broken_line(port) as line:
        if request.param == "sftp":
            known = tmp_path / "known"
            known.write_text(server.known_hosts.read_text().replace(f":{port}", f":{line.port}"))
            bent = url.replace(f":{port}", f":{line.port}").replace(str(server.known_hosts), str(known))
        else:
            bent = url.replace(f":{port}", f":{line.port}")
        yield url, bent, line


def opened(url):
    patience = Patience(limit=LIMIT, longest=1)
    kind = S3Target if url.startswith("s3:") else SftpTarget
    return Persistent(kind(urls.parse(url), patience), patience)


def survived(straight, config, due):
    repository = Repository(straight, config)
    images = {image.volume.path: image for image in repository.images(exact=True)}
    assert images.keys() == due
    for letters, image in images.items():
        assert restored(repository, image) == content(letters)


def test_a_line_that_breaks_at_any_request_is_lived_through(place, record_property):
    url, bent, line = place
    with opened(url) as straight, opened(bent) as target:
        config = tiny_config(straight)
        due = set()
        rolls = dice(f"line {url[:4]}")
        quick = [Break.LOST_REPLY, dice("line").choice(SLOW)] if url.startswith("s3:") else [Break.LOST_REPLY]
        kinds = [*QUICK, *SLOW] * 2 if full() else quick
        broken = 0
        for number, kind in enumerate(kinds):
            letters = f"abcdef{chr(65 + number % 26)}{number // 26}"
            at = sorted(rolls.sample(range(1, 25), 1 if kind in SLOW else 3))
            repository = Repository(target, config)

            line.plan(dict.fromkeys(at, kind))
            back_up(repository, letters)
            broken += line.broken
            due.add(letters)
            survived(straight, config, due)

            line.plan(dict.fromkeys(at, kind))
            image = repository.find("latest", letters)
            assert restored(repository, image) == content(letters)
            assert not verify(
                repository, [image], read_data=True, tell=lambda _: None, cancelled=lambda: False
            ).findings
            broken += line.broken

        repository.forget(repository.find("latest", min(due)))
        due.remove(min(due))
        line.plan(dict.fromkeys(rolls.sample(range(1, 60), 6), Break.LOST_REPLY))
        prune(repository, PruneRequest(), Agreeing(), dt.datetime.now(dt.UTC))
        broken += line.broken
        line.plan({})
        survived(straight, config, due)
    assert broken > len(kinds)
    record_property("rounds", len(kinds))
    record_property("faults", broken)
