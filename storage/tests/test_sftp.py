"""SFTP against a real sshd on loopback."""

import os
import subprocess
import time

import pytest

from holdstill.errors import ObjectMissing, TargetDenied, TargetError, TargetUnfit
from holdstill.repository.trial import Outcome, try_target
from holdstill_storage import urls
from holdstill_storage.patience import Patience
from holdstill_storage.persistent import Persistent
from holdstill_storage.sftp import SftpTarget
from holdstill_testing.suites import TargetSuite

IMPATIENT = Patience(deadline=3, limit=20)


def opened(url):
    return Persistent(SftpTarget(urls.parse(url), IMPATIENT), IMPATIENT)


@pytest.fixture
def url(ssh_server, tmp_path):
    return ssh_server.url(tmp_path / "above" / "objects")


class TestSftp(TargetSuite):
    @pytest.fixture
    def target(self, url):
        with opened(url) as target:
            target.prepare()
            yield target

    @pytest.fixture
    def second(self, target):
        with opened(target.url) as second:
            yield second


def test_its_promises_hold_when_they_are_tried(url):
    with opened(url) as target:
        target.prepare()
        report = try_target(target)
    assert report.kept, report
    assert {trial.name for trial in report.trials if trial.outcome is Outcome.SKIPPED} == {"durability"}
    assert report.properties.durability == "power"


def test_a_host_with_another_key_is_not_trusted(ssh_server, url, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{ssh_server.port} {(tmp_path / 'other.pub').read_text()}")
    with (
        opened(url.replace(str(ssh_server.known_hosts), str(known))) as target,
        pytest.raises(TargetDenied, match="did not prove that it is the one that is known") as told,
    ):
        target.prepare()
    assert "fingerprint" in told.value.next_step
    assert not (tmp_path / "above").exists()


def test_an_unknown_host_is_not_trusted(ssh_server, url, tmp_path):
    (tmp_path / "known").touch()
    with (
        opened(url.replace(str(ssh_server.known_hosts), str(tmp_path / "known"))) as target,
        pytest.raises(TargetDenied, match="did not prove"),
    ):
        target.get("config")


def test_a_key_that_is_not_let_in_is_denied(ssh_server, url, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    with (
        opened(url.replace(str(ssh_server.identity), str(tmp_path / "other"))) as target,
        pytest.raises(TargetDenied) as told,
    ):
        target.get("config")
    assert "identity" in told.value.next_step


@pytest.mark.parametrize("kind", ["none", "garbage", "locked"])
def test_a_key_that_cannot_be_read_is_named(ssh_server, url, tmp_path, kind):
    file = tmp_path / "bad+key"
    if kind == "garbage":
        file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nno\n-----END OPENSSH PRIVATE KEY-----\n")
    elif kind == "locked":
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", file], check=True)
    address = url.replace(str(ssh_server.identity), str(file).replace("+", "%2B"))
    with opened(address) as target, pytest.raises(TargetDenied) as told:
        target.get("config")
    assert str(file) in told.value.message + told.value.next_step
    assert "agent" in told.value.next_step


def test_a_folder_that_went_is_no_missing_object(url, tmp_path):
    with opened(url) as target:
        target.prepare()
        (tmp_path / "above/objects").rmdir()
        for store in (target.put, target.put_if_absent):
            with pytest.raises(TargetError, match="storing 1 bytes failed") as told:
                store("a", [b"x"])
            assert not isinstance(told.value, ObjectMissing)


def test_nobody_there_is_an_error_that_may_pass(url, ssh_server):
    waits = []
    patience = Patience(deadline=60, limit=20, clock=lambda: sum(waits), sleep=waits.append)
    nobody = SftpTarget(urls.parse(url.replace(f":{ssh_server.port}", ":1")), patience)
    with Persistent(nobody, patience) as target, pytest.raises(TargetError, match="tried") as told:
        target.get("config")
    assert told.value.is_retryable
    assert len(waits) > 3


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("user:hunter2@host/folder", "password"),
        ("host", "no folder"),
        ("host/folder?colour=red", "no such option: colour"),
        ("host:no/folder", "port"),
        ("host/backup#1", "#"),
    ],
)
def test_urls_that_say_what_they_should_not(address, why):
    with pytest.raises(TargetUnfit, match=why) as told:
        opened(f"sftp://{address}")
    assert "hunter2" not in str(told.value)


def test_what_killed_writers_left_goes_after_a_day(url, tmp_path):
    with opened(url) as target:
        target.prepare()
        folder = tmp_path / "above/objects/packs"
        folder.mkdir()
        old, young = folder / ".new-1-old", folder / ".new-2-young"
        for left in (old, young):
            left.write_bytes(b"half")
        os.utime(old, (time.time() - 90_000,) * 2)
        target.put("packs/a", [b"x"])
        assert not old.exists()
        assert young.exists()
        assert [row.key for row in target.list("")] == ["packs/a"]
