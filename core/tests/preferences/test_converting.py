"""What is converted means the same: for any options files of TSM, for any volume."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdstill.errors import UsageError
from holdstill.preferences import reading
from holdstill.preferences.converting import converted
from holdstill.preferences.files import read_all
from holdstill.preferences.said import Unknown
from holdstill.preferences.sources import Names, Sources
from holdstill.preferences.tsm.lines import lines
from holdstill.preferences.tsm.reading import understood

SYSTEM, OPT, OURS = Path("/o/dsm.sys"), Path("/o/dsm.opt"), Path("/o/holdstill.toml")
#: what volumes are called: quotes, blanks, wildcards, what is no ASCII
PATHS = st.sampled_from(
    ["/home", "/home2", "/dev/vg0/db", "/dev/vg0/a b", "/x/y/z", "/it's", '/a"b', "/\u00fc\x01\u2028"]
)
PATTERNS = st.sampled_from(
    [
        "/home",
        "/home*",
        "/dev/*/db",
        "/dev/vg0/*",
        "/.../z",
        "/...",
        "/home[0-9]",
        "/*",
        "/it's",
        '/a"b',
        "/\\*",
        "/?ome",
    ]
)
OPTIONS = [
    ("snapshotproviderimage", st.sampled_from(["JFS2", "linux_lvm", "NONE"])),
    ("SNAPSHOTCACHES", st.integers(1, 100).map(str)),
    ("imageg", st.sampled_from(["0", "32", "64k", "1M", "4g"])),
    ("DYNAMICImage", st.sampled_from(["yes", "No"])),
    ("presnap", st.sampled_from(["sync", "/opt/stop 'a b'", "a; b", "", "it's", "\u00fc \u2028"])),
    ("postsnapshotcmd", st.sampled_from(["start", "x | y"])),
]
#: what is told and has no effect
OTHERS = st.sampled_from(
    ["TCPPort 1500", "compression no", "nodename x\x1b]0;y\x07", "* no line", "exclude /tmp/*", "\x85\u2028 odd"]
)


def quoted(word):
    return f'"{word}"' if '"' not in word else f"'{word}'"


@st.composite
def single(draw):
    name, values = draw(st.sampled_from(OPTIONS))
    return f"{name} {draw(values)}"


@st.composite
def include(draw):
    words = ["include.image", quoted(draw(PATTERNS)), *draw(st.sampled_from([[], ["gold"], ["SILVER_1"]]))]
    for name, values in draw(st.lists(st.sampled_from(OPTIONS), max_size=3)):
        value = draw(values)
        words.append(f"{name}={quoted(value)}" if value else f'{name}=""')
    return " ".join(words)


STATEMENTS = st.one_of(
    single(),
    include(),
    PATTERNS.map(lambda pattern: f"exclude.image {quoted(pattern)}"),
    st.tuples(st.sampled_from(["", "-"]), PATHS).map(lambda pair: f"domain.image {quoted(''.join(pair))}"),
    OTHERS,
)
FILES = st.lists(STATEMENTS, max_size=12).map("\n".join)


@given(FILES, FILES, st.lists(PATHS, min_size=1, max_size=4))
@example("exclude.image /...\ninclude.image /home", "dynamicimage yes", ["/home", "/x/y/z"])
def test_converted_files_mean_the_same(system, opt, volumes):
    theirs = [understood(path, lines(text, path)) for path, text in ((SYSTEM, system), (OPT, opt))]
    text = converted(theirs)
    ours = reading.understood(OURS, text)

    assert ours.unknown == ()
    before, after = Sources(tuple(theirs)), Sources((ours,))
    assert [each.name for each in before.domain()] == [each.name for each in after.domain()]
    for names in (None, *map(Names, volumes)):
        meant, means = before.effective(names), after.effective(names)
        assert meant.texts() == means.texts()
        assert {name: each.layer for name, each in meant.settings.items()} == {
            name: each.layer for name, each in means.settings.items()
        }
        assert (meant.excluded and meant.excluded.pattern) == (means.excluded and means.excluded.pattern)
    for each in (unknown for file in theirs for unknown in file.unknown):
        assert any(line.startswith("# ") and each.reason in line for line in text.splitlines())


def test_what_it_looks_like(options):
    options(
        "se prod\nTCPPort 1500\nimagegapsize 64\ndomain.image /home '/my data'\n"
        "exclude.image /scratch*\ninclude.image /home gold dynamicimage=yes\n",
        "dsm.sys",
    )
    opt = options("snapshotproviderimage NONE\n", "dsm.opt")

    assert converted(read_all(opt)) == (
        f"# from {opt.with_name('dsm.sys')}\n"
        f"# from {opt}\n"
        "# tcpport: it says nothing of images (dsm.sys:2)\n"
        "\n"
        "gap-size = 65536\n"
        'snapshot-provider = "none"\n'
        'domain = ["/home", "/my data"]\n'
        "\n"
        "[[rule]]  # dsm.sys:5\n"
        'match = "/scratch*"\n'
        "exclude = true\n"
        "\n"
        "[[rule]]  # dsm.sys:6\n"
        'match = "/home"\n'
        'retention-class = "GOLD"\n'
        'mode = "dynamic"\n'
    )


def test_comments_stay_on_their_line_whatever_is_in_them():
    file = understood(OPT, lines("x\u2028y\x0bz 1", OPT))
    assert tomllib.loads(converted([file])) == {}
    assert file.unknown == (Unknown("x", str(OPT), 1, "it says nothing of images"),)


def test_what_toml_cannot_hold_is_refused(options):
    opt = options("", "dsm.opt")
    opt.write_bytes(b"exclude.image /m\xfcll\n")

    with pytest.raises(UsageError, match="not UTF-8"):
        converted(read_all(opt))
