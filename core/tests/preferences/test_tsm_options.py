"""The options of TSM one by one: how they are written, and what they are among the preferences."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.preferences.schema import schema
from holdstill.preferences.tsm.lines import Line, lines, unquoted
from holdstill.preferences.tsm.options import OPTIONS, NotHonoured, find, why_not

ABBREVIATIONS = {
    "snapshotproviderimage": "Snapshotprovideri",
    "snapshotcachesize": "SNAPSHOTCACHES",
    "imagegapsize": "imageg",
    "dynamicimage": "DYNAMICI",
    "presnapshotcmd": "presnap",
    "postsnapshotcmd": "PostSnap",
    "compression": "comp",
    "compressalways": "compressa",
    "servername": "se",
    "defaultserver": "defaults",
    "inclexcl": "incle",
    "domain.image": "domain.im",
    "domain": "dom",
    "include.image": "include.im",
    "exclude.image": "exclude.im",
}


@pytest.mark.parametrize(("name", "shortest"), ABBREVIATIONS.items())
def test_an_abbreviation_is_as_long_as_it_must_be(name, shortest):
    for length in range(len(shortest), len(name) + 1):
        assert find(name[:length]).name == name
    assert find(shortest).name == find(name.upper()).name == name
    one_less = find(shortest[:-1])
    assert one_less is None or one_less.name != name
    assert find(name + "x") is None


def test_no_spelling_means_two_options():
    for option in OPTIONS:
        for length in range(1, len(option.name) + 1):
            called = [each.name for each in OPTIONS if each.is_called(option.name[:length])]
            assert len(called) <= 1, (option.name[:length], called)


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("snapshotproviderimage", "JFS2", {"snapshot-provider": "jfs2"}),
        ("snapshotproviderimage", "linux_lvm", {"snapshot-provider": "lvm2"}),
        ("snapshotproviderimage", "None", {"snapshot-provider": "none"}),
        ("snapshotcachesize", "95", {"snapshot-cache-size": "95%"}),
        ("snapshotcachesize", "007%", {"snapshot-cache-size": "7%"}),
        ("snapshotcachesize", "100", {"snapshot-cache-size": "100%"}),
        ("imagegapsize", "0", {"gap-size": 0}),
        ("imagegapsize", "32", {"gap-size": 32 << 10}),
        ("imagegapsize", "64k", {"gap-size": 64 << 10}),
        ("imagegapsize", "3M", {"gap-size": 3 << 20}),
        ("imagegapsize", "1g", {"gap-size": 1 << 30}),
        ("imagegapsize", "4294967295", {"gap-size": ((1 << 32) - 1) << 10}),
        ("dynamicimage", "yes", {"mode": "dynamic"}),
        ("dynamicimage", "No", {"mode": "auto"}),
        ("imagetype", "Static", {"mode": "static"}),
        ("compression", "YES", {}),
        ("presnapshotcmd", "", {"presnapshotcmd": ""}),
        ("presnapshotcmd", "/opt/stop 'a b'", {"presnapshotcmd": "/opt/stop 'a b'"}),
        ("postsnapshotcmd", "cd /x; start", {"postsnapshotcmd": "/bin/sh -c 'cd /x; start'"}),
        ("postsnapshotcmd", "it's", {"postsnapshotcmd": "/bin/sh -c 'it'\"'\"'s'"}),
    ],
)
def test_what_a_value_means(name, value, meaning):
    assert find(name).means(value) == meaning
    table = {each.name: each for each in schema()}
    assert {name: table[name].value(given) for name, given in meaning.items()} == meaning


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("snapshotproviderimage", "VSS", "VSS makes snapshots on Windows"),
        ("snapshotproviderimage", "vss", "VSS"),
        ("snapshotproviderimage", "LVSA", "neither JFS2 nor"),
        ("snapshotproviderimage", "", "neither"),
        ("snapshotcachesize", "0", "1 to 100"),
        ("snapshotcachesize", "101", "1 to 100"),
        ("snapshotcachesize", "20 %", "1 to 100"),
        ("imagegapsize", "-1", "no size"),
        ("imagegapsize", "64kb", "no size"),
        ("imagegapsize", "4294967296", "more than"),
        ("imagegapsize", "5000g", "more than"),
        ("dynamicimage", "", "neither yes nor no"),
        ("dynamicimage", "true", "neither yes nor no"),
        ("imagetype", "online", "neither static"),
    ],
)
def test_what_is_no_value_is_refused_by_name(name, value, word):
    with pytest.raises(ValueError, match=word):
        find(name).means(value)


def test_what_cannot_be_honoured_says_why():
    with pytest.raises(NotHonoured, match="always compressed"):
        find("compression").means("no")
    assert "--snapshot-root" in why_not("snapshotroot")
    assert "files" in why_not("exclude.dir")
    assert "files" in why_not("include")
    assert "Windows" in why_not("snapshotcachelocation")
    assert why_not("tcpserveraddress") == "it says nothing of images"


def test_every_option_is_honoured_or_says_why_not():
    structure = {"servername", "defaultserver", "inclexcl", "domain.image", "include.image", "exclude.image"}
    for option in OPTIONS:
        assert (option.means is not None) + bool(option.reason) + (option.name in structure) == 1, option.name


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12))
def test_a_command_is_run_as_a_shell_would_run_it(said):
    """Either it is given to a shell as it is, or splitting it into words is all that a shell would do."""
    command = find("presnapshotcmd").means(said)["presnapshotcmd"]

    argv = shlex.split(command)
    if argv[:2] == ["/bin/sh", "-c"]:
        assert argv[2:] == [said]
    else:
        shown = subprocess.run(["/bin/sh", "-c", f"printf '%s\\0' x {said}"], capture_output=True)
        assert shown.stdout.decode().split("\0")[1:-1] == argv


def test_lines_and_comments(tmp_path):
    text = "\ufeff* a banner ***\n\n  SErvername\t prod \r\n*NODEname C21\n TCPPort 1500\nquiet\n"

    assert [(each.name, each.rest, each.number) for each in lines(text, tmp_path)] == [
        ("servername", "prod", 3),
        ("tcpport", "1500", 5),
        ("quiet", "", 6),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a b", "a b"),
        ('"a b"', "a b"),
        ("'a b'", "a b"),
        ("\"sh -c 'a b'\"", "sh -c 'a b'"),
        ('"a" "b"', '"a" "b"'),
        ('"', '"'),
        ('"a', '"a'),
        ("", ""),
    ],
)
def test_quotes_around_a_value_are_not_of_it(text, value):
    assert unquoted(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/home  /data", ["/home", "/data"]),
        ("'/my data' \"/o'x\"", ["/my data", "/o'x"]),
        ('/x a="b c" d', ["/x", "a=b c", "d"]),
        ("it's b", ["it's", "b"]),
        ('"" x', ["", "x"]),
        ("", []),
    ],
)
def test_words_are_split_at_blanks_and_held_by_quotes(tmp_path, text, words):
    assert Line("x", text, tmp_path, 1).words() == words


def test_a_quote_that_is_not_closed_is_told(tmp_path):
    with pytest.raises(ValueError, match="not closed: 'b c"):
        Line("x", "a 'b c", tmp_path, 1).words()
