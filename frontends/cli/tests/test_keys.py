"""Sealed repositories from the command line: where passwords come from, where they never are, and who may do what."""

import base64
import hashlib
import os
import pty
import subprocess
import sys

import pytest

from holdstill import Engine, Passwords

SECRET = "correct horse battery"
OTHER = "staple in the cellar"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    """Trying a password costs next to nothing in this process."""
    scrypt = hashlib.scrypt
    cheap = {"n": 2, "r": 1, "p": 1}
    monkeypatch.setattr(hashlib, "scrypt", lambda password, **given: scrypt(password, **given | cheap))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "other"
    path.write_text(OTHER)
    return path


@pytest.fixture
def sealed(hold, tmp_path, file):
    path = tmp_path / "sealed"
    ran = hold("init", "--encrypt", "--password-file", file, "--label", "first", repo=path)
    assert ran.code == 0, ran
    assert "without a password nobody can read it" in ran.out
    return path


def test_a_full_circle_with_a_password(hold, sealed, file, volume, tmp_path):
    way = ("--password-file", file)
    image = hold("backup", "--json", volume, *way, repo=sealed).result["image"]
    assert hold("images", "--json", *way, repo=sealed).result["images"][0]["image"] == image
    assert hold("verify", "--read-data", *way, repo=sealed).code == 0
    assert hold("restore", image, "--to-file", tmp_path / "back", *way, repo=sealed).code == 0
    subprocess.run(["e2fsck", "-fn", tmp_path / "back"], check=True, capture_output=True)
    stored = b"".join(path.read_bytes() for path in sealed.rglob("*") if path.is_file())
    for word in (str(volume), "volume.img", SECRET, "lost+found", "offline"):
        assert word.encode() not in stored, word


def test_where_a_password_may_come_from(hold, sealed, file, monkeypatch):
    assert hold("images", "--password-command", f"cat {file}", repo=sealed).code == 0
    for name, value in (("", SECRET), ("_FILE", str(file)), ("_COMMAND", f"cat '{file}'")):
        with monkeypatch.context() as patch:
            patch.setenv(f"HOLDSTILL_PASSWORD{name}", value)
            assert hold("images", repo=sealed).code == 0, name


def test_what_is_no_password_gets_a_clear_answer(hold, sealed, tmp_path, monkeypatch):
    for words, sentence in (
        ((), "nobody is there to be asked"),
        (("--password-file", tmp_path / "none"), "no password can be read: No such file"),
        (("--password-file", os.devnull), "there is no password"),
        (("--password-file", "/dev/zero"), "too long"),
        (("--password-command", "false"), "failed with 1"),
        (("--password-command", "/no/such/program"), "cannot be run"),
        (("--password-command", "'"), "cannot be run"),
        (("--password-command", ""), "cannot be run"),
        (("--password-command", "echo wrong"), "opens none of its 1 keys"),
        (("--password-command", "true", "--password-file", os.devnull), "by a file and a command"),
    ):
        ran = hold("images", *words, repo=sealed)
        assert ran.code in (1, 2), words
        assert sentence in ran.err, words
    monkeypatch.setenv("HOLDSTILL_PASSWORD", SECRET)
    monkeypatch.setenv("HOLDSTILL_PASSWORD_COMMAND", "true")
    assert "Say it in one way only" in hold("images", repo=sealed).err


def test_what_is_not_sealed_is_refused_where_a_password_is_given(hold, repo, file):
    ran = hold("images", "--password-file", file, repo=repo)
    assert (ran.code, ran.out) == (2, "")
    assert "a password was given, and it is not sealed" in ran.err
    assert "not --encrypt" in hold("init", "--password-file", file, repo=repo).err
    assert "it has no keys" in hold("key", "list", repo=repo).err


def test_keys_come_and_go(hold, sealed, file, other, published, volume):
    def key(*words):
        ran = hold("key", *words, "--json", repo=sealed)
        published(f"result-key-{words[0]}")(ran.result)
        return ran.result

    old, new = ("--password-file", file), ("--password-file", other)
    (first,) = key("list", *old)["keys"]
    assert (first["label"], first["current"], first["write_only"]) == ("first", True, False)
    second = key("add", "--label", "second", "--new-password-file", other, *old)["key"]
    assert [each["label"] for each in key("list", *new)["keys"] if each["current"]] == ["second"]
    assert key("remove", first["id"], *old)["error"]["id"] == "key.last"
    assert key("remove", "0123456789abcdef0", *old)["error"]["id"] == "key.missing"
    assert key("remove", first["id"][:10], *new)["key"] == first["id"]
    assert key("list", *old)["error"]["id"] == "key.wrong-password"
    assert key("remove", second, *new)["error"]["id"] == "key.last"
    third = key("change", "--new-password-file", file, *new)["key"]
    assert key("list", *old)["keys"][0] | {"made": "", "signer": ""} == {
        "signer": "",
        "id": third,
        "label": "second",
        "made": "",
        "write_only": False,
        "current": True,
    }
    assert key("list", *new)["error"]["id"] == "key.wrong-password"
    table = hold("key", "list", *old, repo=sealed).out
    assert f"{third[:12]} *" in table
    assert hold("key", "add", *old, repo=sealed).code == 1


def test_a_host_that_may_only_write(hold, sealed, file, other, make_volume, tmp_path):
    """Its backups are real; it reads nothing; a verification lets others rely on what it stored."""
    full, writer = ("--password-file", file), ("--password-file", other)
    first, second = make_volume("one"), make_volume("two")
    added = hold("key", "add", "--write-only", "--new-password-file", other, "--json", *full, repo=sealed).result
    assert added["write_only"]
    image = hold("backup", "--json", first, *writer, repo=sealed).result
    again = hold("backup", "--json", first, *writer, repo=sealed).result
    assert (again["new_chunks"], again["stored_size"] < image["stored_size"] / 20) == (0, True)
    for words in (
        ["images"], ["show", image["image"]], ["restore", image["image"], "--to-file", tmp_path / "no"], ["verify"],
        ["prune", "--yes"], ["delete", "--yes", image["image"]], ["protect", image["image"]], ["key", "remove", "a"],
        ["check", "--max-age", "1d"], ["key", "add", "--new-password-file", other],
    ):  # fmt: skip
        ran = hold(*words, "--json", *writer, repo=sealed)
        assert ran.code != 0, words
        assert "key.write-only" in ran.out or "check.unknown" in ran.out, (words, ran)
    kinds = {
        each["write_only"]: each["current"]
        for each in hold("key", "list", "--json", *writer, repo=sealed).result["keys"]
    }
    assert kinds == {False: False, True: True}
    assert hold("restore", image["image"], "--to-file", tmp_path / "back", *full, repo=sealed).code == 0
    subprocess.run(["e2fsck", "-fn", tmp_path / "back"], check=True, capture_output=True)
    assert hold("backup", "--json", first, *full, repo=sealed).result["new_chunks"] > 0, "nobody had looked at it"
    before = hold("backup", "--json", second, *writer, repo=sealed).result
    assert hold("verify", "--read-data", *full, repo=sealed).code == 0
    assert hold("backup", "--json", second, *full, repo=sealed).result["new_chunks"] == 0
    assert before["new_chunks"] > 0
    assert hold(*full, "recover", "--json").result["recovered"] == []


def test_copies_between_what_is_sealed_and_what_is_not(hold, sealed, file, other, repo, volume, tmp_path):
    twin = tmp_path / "twin"
    assert hold("init", "--encrypt", "--password-file", other, repo=twin).code == 0
    assert hold("backup", volume, "--password-file", file, repo=sealed).code == 0
    assert hold("copy", "--to-repo", repo, "--password-file", file, repo=sealed).code == 0
    assert hold("copy", "--to-repo", twin, "--to-password-file", other, repo=repo).code == 0
    assert hold("copy", "--to-repo", twin, "--password-file", file, "--to-password-file", other, repo=sealed).code == 0
    assert len(hold("images", "--json", "--password-file", other, repo=twin).result["images"]) == 1, "of one origin"
    assert hold("verify", "--read-data", "--password-file", other, repo=twin).code == 0
    assert "nobody is there to be asked" in hold("copy", "--to-repo", twin, repo=repo).err


class Said(Passwords):
    """A frontend of ours."""

    def __init__(self):
        self.text = SECRET
        self.asked = 0

    def is_given(self, url):
        return True

    def password(self, url):
        self.asked += 1
        return self.text.encode()


def test_one_engine_asks_once_and_changes_its_key_twice(sealed, tmp_path):
    engine = Engine(state=str(tmp_path / "state"))
    engine.passwords = said = Said()
    assert engine.images(str(sealed)) == engine.images(str(sealed)) == []
    assert said.asked == 1
    for said.text in (OTHER, "third"):
        engine.keys.change(str(sealed), said.text.encode())
        assert [each.current for each in engine.keys.facts(str(sealed))] == [True]
    assert said.asked == 3
    assert SECRET not in repr(vars(engine)) + repr(engine.keys)


def test_a_secret_is_in_no_output_no_log_and_no_journal(hold, sealed, file, other, volume, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDSTILL_PASSWORD", SECRET)
    monkeypatch.setenv("HOLDSTILL_NEW_PASSWORD", OTHER)
    monkeypatch.setenv("HOLDSTILL_DEBUG", "1")
    seen = tmp_path / "seen"
    said = [
        hold("backup", "--json", "--presnapshotcmd", f"sh -c 'env > {seen}'", volume, repo=sealed),
        hold("key", "add", "--json", repo=sealed),
        hold("show", "latest", "--json", repo=sealed),
        hold("verify", "--json", repo=sealed),
        hold("backup", "--json", "--presnapshotcmd", "sh -c 'env >&2; exit 1'", volume, repo=sealed),
        hold("images", "--password-file", volume, repo=sealed),
    ]
    assert [ran.code for ran in said] == [0, 0, 0, 0, 1, 2]
    text = "".join(ran.out + ran.err for ran in said) + seen.read_text()
    text += "".join(path.read_text("latin-1") for path in (tmp_path / "state").rglob("*") if path.is_file())
    for secret in (SECRET, OTHER):
        assert secret not in text
        assert secret.encode().hex() not in text.lower()
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in text
    assert "HOLDSTILL_STATE" in seen.read_text()


def test_a_password_is_typed_unseen(environment, command, tmp_path):
    """A real terminal: typed twice for a new repository, once for an old one, and never shown."""
    repo = tmp_path / "typed"
    shown = _typed([command, "init", "--encrypt", "--repo", repo], [SECRET, SECRET])
    assert "new password of" in shown
    assert "the same once more" in shown
    assert SECRET not in shown
    assert (repo / "config").exists()
    assert "opens none" in _typed([command, "images", "--repo", repo], ["wrong"])
    assert "differ" in _typed([command, "init", "--encrypt", "--repo", tmp_path / "no"], [SECRET, OTHER])
    assert not (tmp_path / "no").exists()


def _typed(words, lines):
    """What a terminal shows of a command to which these lines are typed, each when it is asked for."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(words[0], [os.fspath(word) for word in words])
    shown, left = b"", list(lines)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if left and shown.endswith(b": "):
            os.write(terminal, left.pop(0).encode() + b"\n")
    os.waitpid(child, 0)
    os.close(terminal)
    assert not left, shown
    return shown.decode()


def test_no_option_takes_a_secret():
    from holdstill_cli.main import parser

    told = parser().format_help()
    assert "--password-file" in told
    assert "--password " not in told
    assert sys.argv
