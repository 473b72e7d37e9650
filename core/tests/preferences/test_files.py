"""Options files: what they say, what is wrong with them, how they are replaced."""

import os
import subprocess
import sys
import threading

import pytest

from holdstill.errors import PreferencesRefused, UsageError
from holdstill.preferences.disk import NAMED, change
from holdstill.preferences.files import Places, read
from holdstill.preferences.said import Member, Rule, Unknown
from holdstill.preferences.setting import put
from holdstill.preferences.sources import Names


def test_what_a_file_says(says):
    file = says(
        'mode = "static"\ngap-size = "1M"\nproof = false\n[volume."/dev/vg0/home"]\nfreeze-limit = 0.5\n[volume.b]\n'
    )

    assert file.general == {"mode": "static", "gap-size": 1 << 20, "proof": False}
    assert file.volumes == {"/dev/vg0/home": {"freeze-limit": 0.5}, "b": {}}
    assert file.unknown == ()


def test_rules_and_a_domain(says):
    file = says(
        'domain = ["/home", "-/tmp"]\n\n[[rule]]\nmatch = "/dev/*"\nexclude = true\n\n'
        '[[rule]]\nmatch = "/dev/vg0/*"\nmode = "static"\ncolour = 1\n'
    )

    place = str(file.path)
    assert file.domain == (Member("/home", place, 1), Member("-/tmp", place, 1))
    assert file.rules == (
        Rule("/dev/*", exclude=True, file=place, line=3),
        Rule("/dev/vg0/*", {"mode": "static"}, file=place, line=7),
    )
    assert file.unknown == (Unknown("colour", place, 7),)
    assert says('rule = [{match = "/a"}, {match = "/b"}]').rules[1].line == 1


def test_what_nobody_knows_is_kept_and_told(says):
    file = says('colour = "red"\nmode = "auto"\n[volume.a]\n\nMODE = 1\n[page]\nx = 1\n')

    place = str(file.path)
    assert file.general == {"mode": "auto"}
    assert file.unknown == (Unknown("colour", place, 1), Unknown("page", place, 6), Unknown("MODE", place, 5))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('\nmode = "hot"', 2, ["mode", "'hot'", "snapshot"]),
        ("mode = 3", 1, ["mode", "auto"]),
        ("gap-size = true", 1, ["gap-size", "64K"]),
        ("gap-size = -1", 1, ["gap-size"]),
        ('gap-size = "64KB"', 1, ["gap-size", "64KB"]),
        ("freeze-limit = 0", 1, ["freeze-limit", "3600"]),
        ("freeze-limit = nan", 1, ["freeze-limit"]),
        ("freeze-limit = inf", 1, ["freeze-limit"]),
        ("freeze-limit = 3601", 1, ["3600"]),
        ('command-timeout = "soon"', 1, ["command-timeout", "seconds"]),
        ("proof = 1", 1, ["proof", "true or false"]),
        ('presnapshotcmd = "echo \'x"', 1, ["presnapshotcmd", "quotes"]),
        ('presnapshotcmd = "a\\u0000b"', 1, ["presnapshotcmd"]),
        ('presnapshotcmd = ["a"]', 1, ["presnapshotcmd"]),
        ('# x\n[volume."/x"]\n\nmode = "hot"', 4, ["mode", "'hot'"]),
        ('[volume."/x"]\n"on-no-snapshot" = "auto"', 2, ["fail, static, freeze, dynamic"]),
        ("\nvolume = 3", 2, ["volume"]),
        ("\n[volume]\n\nmode = 'static'", 4, ["mode", "table"]),
        ("[[volume]]\n", 1, ["volume"]),
        ("\n[rule]\nmatch = '/x'", 2, ["rule", "[[rule]]"]),
        ("[[rule]]\nmatch = '/x'\n[[rule]]\nmode = 'static'", 3, ["match"]),
        ("[[rule]]\nmatch = ''", 1, ["match"]),
        ("[[rule]]\nmatch = '/x'\n\n[[rule]]\nmatch = '/y'\nmode = 'hot'", 4, ["mode", "'hot'"]),
        ("[[rule]]\nmatch = '/x'\nexclude = 1", 1, ["exclude"]),
        ("[[rule]]\nmatch = '/x'\nexclude = true\nmode = 'static'", 1, ["mode"]),
        ("\ndomain = '/home'", 2, ["domain", '["/home"']),
        ("domain = ['-']", 1, ["domain"]),
    ],
)
def test_a_wrong_value_is_told_with_file_line_name_and_what_is_allowed(options, text, line, words):
    path = options(text)

    with pytest.raises(UsageError) as caught:
        read(path)

    assert caught.value.subject == f"{path}:{line}"
    for word in words:
        assert word in f"{caught.value} {caught.value.next_step}"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"mode = \n", "line 1"),
        (b"mode = 'auto'\nmode = 'auto'\n", "line 2"),
        (b"\xff", "UTF-8"),
        (b"x = " + b"[" * 100_000, "TOML"),
        (b"x = " + b"9" * 5000, "TOML"),
        (b"#" * ((1 << 20) + 1), "longer"),
    ],
)
def test_what_is_no_options_file_is_told(options, data, word):
    path = options("")
    path.write_bytes(data)

    with pytest.raises(UsageError, match=word):
        read(path)


def test_a_place_without_a_file_says_nothing(tmp_path):
    assert read(tmp_path / "nothing.toml") is None


def test_what_is_no_file_is_refused_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(PreferencesRefused, match="regular"):
            read(place)


def test_a_named_file_must_be_there_and_is_the_only_one(tmp_path, monkeypatch, options):
    path = options("mode = 'static'")
    monkeypatch.setenv(NAMED, str(path))
    assert [file.path for file in Places.default().files()] == [path]

    monkeypatch.setenv(NAMED, str(tmp_path / "nothing.toml"))
    with pytest.raises(UsageError, match="no such"):
        Places.default().files()


def test_the_default_places(monkeypatch, tmp_path):
    monkeypatch.delenv(NAMED, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    places = Places.default()

    own = tmp_path / ".config/holdstill/holdstill.toml"
    assert [str(place) for place in places.read] == [
        "/etc/holdstill/dsm.opt",
        "/etc/holdstill/holdstill.toml",
        str(own),
    ]
    assert places.written == places.read[1 if os.geteuid() == 0 else 2]


def test_a_change_keeps_mode_and_owner_and_follows_a_link(options, tmp_path):
    path = options("mode = 'auto'\n")
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    if os.geteuid() == 0:
        os.chown(path, 0, 4)
    before = path.stat()

    put(link, "mode", "static", None)

    after = path.stat()
    assert path.read_text() == 'mode = "static"\n'
    assert link.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert sorted(each.name for each in tmp_path.iterdir()) == ["holdstill.toml", "link.toml"]


def test_a_change_that_changes_nothing_writes_nothing(options):
    def written():
        status = path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns

    path = options('gap-size = "64K"')
    before = written()

    put(path, "gap-size", 65536, None)

    assert written() == before


def test_a_change_that_fails_leaves_the_file_and_nothing_beside_it(options, tmp_path):
    path = options("mode = 'auto'\n")

    def half(text):
        raise UsageError("no")

    with pytest.raises(UsageError):
        change(path, half)
    path.write_text("mode = 'hot'\n")
    with pytest.raises(UsageError, match="hot"):
        put(path, "proof", value=True, names=None)

    assert path.read_text() == "mode = 'hot'\n"
    assert list(tmp_path.iterdir()) == [path]


def test_the_first_setting_makes_file_and_folder(tmp_path):
    path = tmp_path / "a/b/holdstill.toml"

    put(path, "mode", "static", Names("/dev/vg0/home"))

    assert path.read_text() == '[volume."/dev/vg0/home"]\nmode = "static"\n'
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_setting_goes_to_the_section_that_speaks_of_the_volume(options):
    path = options('[volume."dm:LVM-1"]\nmode = "auto"\n[volume.other]\n')

    put(path, "mode", "static", Names("/dev/vg0/home", identity="dm:LVM-1"))

    assert path.read_text() == '[volume."dm:LVM-1"]\nmode = "static"\n[volume.other]\n'


def test_of_several_sections_the_one_that_wins_is_changed(options):
    path = options('[volume.a]\nmode = "auto"\n[volume."dm:LVM-1"]\nmode = "offline"\n')
    names = Names("a", identity="dm:LVM-1")

    put(path, "mode", "static", names)

    assert path.read_text() == '[volume.a]\nmode = "auto"\n[volume."dm:LVM-1"]\nmode = "static"\n'


def test_an_inline_table_is_left_to_a_person(options):
    path = options("\nvolume.a = {mode = 'auto'}\n")

    with pytest.raises(UsageError) as caught:
        put(path, "mode", "static", Names("a"))

    assert caught.value.subject == f"{path}:2"
    assert "by hand" in caught.value.next_step


def test_two_who_set_at_once_both_succeed(options):
    path = options("# mine\n")
    names = [f"/dev/{number}" for number in range(8)]
    setters = [threading.Thread(target=put, args=(path, "mode", "static", Names(name))) for name in names]
    for setter in setters:
        setter.start()
    for setter in setters:
        setter.join()

    assert set(read(path).volumes) == set(names)
    assert path.read_text().startswith("# mine\n")


def test_a_full_disk_leaves_the_old_file(options):
    """A limit on the size of files stands for the full disk: the write fails the same way."""
    path = options("# " + "x" * 4000 + "\nmode = 'auto'\n")
    before = path.read_bytes()
    script = (
        "import resource, signal, sys; from pathlib import Path; from holdstill.preferences.setting import put\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "put(Path(sys.argv[1]), 'mode', 'static', None)\n"
    )

    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)

    assert "PreferencesRefused" in ran.stderr
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
