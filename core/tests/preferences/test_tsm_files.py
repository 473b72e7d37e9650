"""dsm.opt and dsm.sys as they stand on a disk: stanzas, spliced lists, what is refused and what is only told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import PreferencesRefused, UsageError
from holdstill.preferences.files import Places, read_all
from holdstill.preferences.said import Member, Rule
from holdstill.preferences.schema import schema
from holdstill.preferences.setting import put
from holdstill.preferences.sources import Names, Sources
from holdstill.preferences.tsm.lines import lines
from holdstill.preferences.tsm.reading import understood

SYSTEM = """\
* The host's
DEFAULTServer  second
SErvername first
   TCPServeraddress tsm1.example.com
   dynamicimage yes

SERVERNAME "second"
   TCPPort 1500
   snapshotprovideri none
   IMAGEG 64
   presnapshotcmd "/opt/app/stop now"
   domain.image /home /dev/vg0/db
   exclude.image /scratch*
   inclexcl lists/images
   include.image /scratch9
"""
LIST = """\
* images
exclude.image /dev/vg1/*
include.image /dev/vg1/keep gold snapshotcachesize=40 postsnapshotcmd="/bin/x y" dynamicimage yes
exclude /tmp/.../*
"""


@pytest.fixture
def folder(options, tmp_path):
    """A folder with a dsm.sys and the list that it names."""
    (tmp_path / "lists").mkdir()
    options(SYSTEM, "dsm.sys")
    options(LIST, "lists/images")
    return tmp_path


def effective(path, volume):
    return Sources(Places.of(path).files()).effective(Names(volume))


def chosen(path, volume):
    """What the files say of a volume, defaults left out."""
    return {name: each.value for name, each in effective(path, volume).settings.items() if each.layer != "default"}


GENERAL = {"snapshot-provider": "none", "gap-size": 64 << 10, "presnapshotcmd": "/opt/app/stop now"}


def test_the_stanza_of_the_default_server_holds(folder, options):
    opt = options("* nothing\n", "dsm.opt")

    assert chosen(opt, "/x") == GENERAL
    assert Sources(read_all(opt)).domain() == tuple(
        Member(name, str(folder / "dsm.sys"), 12) for name in ("/home", "/dev/vg0/db")
    )


def test_dsm_opt_names_the_stanza_and_is_above_it(folder, options):
    opt = options("se FIRST\ngapsize 3\nimagegapsize 1m\n", "dsm.opt")

    assert chosen(opt, "/x") == {"mode": "dynamic", "gap-size": 1 << 20}
    assert effective(opt, "/x").settings["mode"].origin == str(folder / "dsm.sys")
    assert effective(opt, "/x").settings["gap-size"].origin == str(opt)


def test_without_any_name_the_first_stanza_holds(folder, options):
    system = options(SYSTEM.replace("DEFAULTServer  second", ""), "dsm.sys")

    assert chosen(system, "/x") == {"mode": "dynamic"}


def test_a_stanza_that_is_not_there_is_told_with_those_that_are(folder, options):
    opt = options("\nservername third\n", "dsm.opt")

    with pytest.raises(UsageError, match="there is no server 'third'") as caught:
        read_all(opt)
    assert caught.value.subject == f"{opt}:2"
    assert caught.value.next_step == "name one of these: first, second"


def test_what_stands_outside_of_every_stanza_has_no_effect(options):
    system = options("dynamicimage yes\nse a\nimagegapsize 0\n", "dsm.sys")

    (file,) = read_all(system)

    assert file.general == {"gap-size": 0}
    assert [(each.name, each.line, "outside" in each.reason) for each in file.unknown] == [("dynamicimage", 1, True)]


def test_dsm_opt_alone_is_enough(options):
    opt = options("servername prod\ndynamicimage yes\n", "dsm.opt")

    (file,) = read_all(opt)

    assert file.general == {"mode": "dynamic"}


@pytest.mark.parametrize(
    ("volume", "excluded", "said"),
    [
        ("/scratch", "/scratch*", {}),
        ("/scratch9", None, {}),
        ("/dev/vg1/other", "/dev/vg1/*", {}),
        (
            "/dev/vg1/keep",
            None,
            {
                "retention-class": "GOLD",
                "snapshot-cache-size": "40%",
                "postsnapshotcmd": "/bin/x y",
                "mode": "dynamic",
            },
        ),
        ("/home", None, {}),
    ],
)
def test_the_list_is_read_from_the_bottom_and_the_first_match_decides(folder, volume, excluded, said):
    found = effective(folder / "dsm.sys", volume)

    assert (found.excluded.pattern if found.excluded else None) == excluded
    assert chosen(folder / "dsm.sys", volume) == GENERAL | said


def test_a_list_is_spliced_in_where_it_is_named(folder):
    (file,) = read_all(folder / "dsm.sys")

    images = str(folder / "lists/images")
    assert [(each.pattern, each.exclude, each.file, each.line) for each in file.rules] == [
        ("/scratch*", True, str(folder / "dsm.sys"), 13),
        ("/dev/vg1/*", True, images, 2),
        ("/dev/vg1/keep", False, images, 3),
        ("/scratch9", False, str(folder / "dsm.sys"), 15),
    ]
    settings = effective(folder / "dsm.sys", "/dev/vg1/keep").settings
    assert settings["mode"].origin == f"{images}:3 (/dev/vg1/keep)"
    assert settings["gap-size"].origin == str(folder / "dsm.sys")


def test_nothing_else_may_stand_in_a_list(options):
    options("dynamicimage yes\ninclexcl other\ninclude.fs /x\n", "list")

    (file,) = read_all(options("inclexcl list\n", "dsm.opt"))

    assert (file.general, file.rules) == ({}, ())
    assert [(each.name, "stand in such a list" in each.reason) for each in file.unknown] == [
        ("dynamicimage", True),
        ("inclexcl", True),
        ("include.fs", False),
    ]


def test_the_rules_of_dsm_opt_are_asked_first(folder, options):
    opt = options("include.image /scratch* imagegapsize=1\n", "dsm.opt")

    assert effective(opt, "/scratch5").excluded is None
    assert chosen(opt, "/scratch5") == GENERAL | {"gap-size": 1024}


def test_what_has_no_effect_is_kept_with_its_place_and_its_reason(folder, options):
    opt = options("NODEname c21\nPASsword secret\ncompression no\nencryptkey save\ncompression y\n", "dsm.opt")

    unknown = [each for file in read_all(opt) for each in file.unknown]

    assert [(each.name, each.line) for each in unknown] == [
        ("tcpport", 8),
        ("exclude", 4),
        ("nodename", 1),
        ("password", 2),
        ("compression no", 3),
        ("encryptkey", 4),
    ]
    assert unknown[1].file == str(folder / "lists/images")
    assert all(each.reason for each in unknown)
    assert not any("secret" in f"{each}" for each in unknown)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("snapshotproviderimage VSS", "snapshotproviderimage: VSS makes snapshots on Windows"),
        ("imageg lots", "imagegapsize: 'lots' is no size"),
        ("include.image /x snapshotcaches=0", "snapshotcachesize"),
        ("include.image /x dynamici", "dynamicimage"),
        ("include.image", "names no volume"),
        ("exclude.image ''", "names no volume"),
        ("exclude.image '/x", "quote"),
        ("exclude.image " + "x" * 5000, "4096"),
        ("domain.image", "names no volume"),
        ("domain.image all-local", "'all-local' is no file system"),
        ("inclexcl nowhere", "no such include-exclude list"),
        ("presnapshotcmd 'a\0b'", "presnapshotcmd"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(options, line, word):
    opt = options(f"* x\n{line}\n", "dsm.opt")

    with pytest.raises(UsageError, match=word) as caught:
        read_all(opt)
    assert caught.value.subject == f"{opt}:2"


def test_other_words_of_include_image_are_told(options):
    opt = options("include.image /x gold imagegapsize=1 silver compression=no\n", "dsm.opt")

    (file,) = read_all(opt)

    assert file.rules == (Rule("/x", {"retention-class": "GOLD", "gap-size": 1024}, file=str(opt), line=1),)
    assert [each.name for each in file.unknown] == ["silver", "compression"]


def test_a_domain_is_all_that_is_named_without_what_is_taken_out(folder, options):
    opt = options("domain.image /home /data\nDOMAIN.IM -/dev/vg0/db '/my data'\n", "dsm.opt")

    assert [member.name for member in Sources(read_all(opt)).domain()] == ["/home", "/data", "/my data"]


def test_names_need_not_be_unicode(options, tmp_path):
    opt = tmp_path / "dsm.opt"
    opt.write_bytes(b"exclude.image /m\xfcll\n")
    opt.chmod(0o600)

    assert effective(opt, "/m\udcfcll").excluded.pattern == "/m\udcfcll"


def test_a_named_file_must_be_there(folder, tmp_path):
    with pytest.raises(UsageError, match="no such options file"):
        Places.of(tmp_path / "dsm.opt").files()
    with pytest.raises(UsageError, match="no such options file"):
        Places.of(tmp_path / "other.sys").files()


def test_files_of_tsm_are_not_changed(options):
    opt = options("imagegapsize 0\n", "dsm.opt")

    with pytest.raises(UsageError, match="read, not changed") as caught:
        put(opt, "mode", "static", None)
    assert "convert" in caught.value.next_step
    assert opt.read_text() == "imagegapsize 0\n"


@pytest.mark.root
def test_root_relies_on_no_list_that_others_can_write(folder):
    (folder / "lists/images").chmod(0o666)

    with pytest.raises(PreferencesRefused, match="writable by others"):
        read_all(folder / "dsm.sys")


NAMED = ["include.image", "EXCLUDE.IM", "domain.image", "dynamici", "imagegapsize=", "presnap", "se", "comp"]
SAID = ["/a*", "[", "...", "'", '"', "=", "yes", "4g", "40", "VSS", "none", "*", "\x00", "\udcff", "\u2028"]


@given(st.lists(st.sampled_from([*NAMED, *SAID, " ", " ", "\t", "\n", "\n"]), max_size=30).map("".join))
def test_any_text_is_understood_or_told_with_its_line(text):
    path = Path("/o/dsm.opt")
    try:
        file = understood(path, lines(text, path))
    except UsageError as told:
        place = told.subject
    else:
        Sources((file,)).effective(Names("/a"))
        assert all(each.reason for each in file.unknown)
        return
    assert place.startswith(f"{path}:")


def test_every_preference_that_tsm_drives_is_one():
    names = {each.name for each in schema()}
    assert {"snapshot-provider", "snapshot-cache-size", "gap-size", "mode", "retention-class"} <= names
