"""The layers: the command above the volume, the volume above the file, the file above the default."""

import shutil
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import UsageError
from holdstill.model.volume import Mount, VolumeFacts, VolumeKind
from holdstill.preferences.reading import understood
from holdstill.preferences.said import Member, OptionsFile
from holdstill.preferences.schema import schema
from holdstill.preferences.sources import Layer, Names, Sources
from holdstill_testing.fakes.memory_machine import MemoryMachine

HOME = Names("/dev/vg0/home", "dm:LVM-1", frozenset({"/dev/dm-3", "/home"}))
POSSIBLE = {
    "mode": ["auto", "static", "dynamic"],
    "gap-size": [0, 4096, 1 << 20],
    "limit-rate": [0, 50_000_000],
    "proof": [True, False],
    "freeze-limit": [1, 60, 0.5],
    "presnapshotcmd": ["", "sync", "stop db"],
}
LAYER = st.fixed_dictionaries({}, optional={name: st.sampled_from(each) for name, each in POSSIBLE.items()})


@given(st.lists(LAYER, max_size=2), st.lists(LAYER, max_size=2), LAYER, LAYER)
def test_the_highest_layer_that_says_something_wins(generals, sections, others, options):
    files = tuple(
        OptionsFile(
            f"/{number}",
            "",
            general,
            {"/elsewhere": others, **({"/dev/vg0/home": sections[number]} if number < len(sections) else {})},
        )
        for number, general in enumerate([*generals, *[{}] * (len(sections) - len(generals))])
    )
    effective = Sources(files).effective(HOME, options)

    for preference in schema():
        name, setting = preference.name, effective.settings[preference.name]
        stack = [(Layer.DEFAULT, preference.default)]
        stack += [(Layer.FILE, said[name]) for said in generals if name in said]
        stack += [(Layer.VOLUME, said[name]) for said in sections if name in said]
        stack += [(Layer.COMMAND, options[name])] if name in options else []
        assert (setting.layer, setting.value) == stack[-1]
        assert effective[name] == setting.value


def test_each_value_says_where_it_is_from(says):
    file = says('mode = "static"\nproof = false\n[volume."/dev/vg0/home"]\nproof = true\n')

    settings = Sources((file,)).effective(HOME, {"gap-size": "1M"}).settings

    assert settings["mode"].origin == str(file.path)
    assert settings["proof"].origin == f'{file.path} [volume."/dev/vg0/home"]'
    assert (settings["gap-size"].value, settings["gap-size"].origin) == (1 << 20, "command")
    assert settings["freeze-limit"].origin == "default"


def test_without_a_volume_no_section_speaks(says):
    file = says('[volume."/dev/vg0/home"]\nproof = false\ncolour = 1\n')

    effective = Sources((file,)).effective(None)

    assert effective["proof"] is True
    assert effective.volume is None
    assert [each.name for each in effective.unknown] == ["colour"]


def test_the_later_of_two_sections_wins(says):
    file = says('[volume."dm:LVM-1"]\nmode = "static"\n[volume."/home"]\nmode = "offline"\n')

    assert Sources((file,)).effective(HOME)["mode"] == "offline"


def test_of_all_rules_the_last_that_matches_holds_and_alone(says):
    lower = says(
        'mode = "offline"\n[[rule]]\nmatch = "/dev/vg0/*"\nproof = false\ngap-size = 0\n'
        '[[rule]]\nmatch = "/dev/vg0/h*"\ngap-size = 4096\n[[rule]]\nmatch = "/dev/vg1/*"\ngap-size = 1\n'
    )
    upper = says('[[rule]]\nmatch = "/elsewhere"\nexclude = true\n[volume."/home"]\nmode = "static"\n', "2.toml")

    effective = Sources((lower, upper)).effective(HOME, {"freeze-limit": 5})

    layers = {name: (setting.value, setting.layer) for name, setting in effective.settings.items()}
    assert layers["gap-size"] == (4096, Layer.RULE)
    assert layers["proof"] == (True, Layer.DEFAULT)
    assert layers["mode"] == ("static", Layer.VOLUME)
    assert layers["freeze-limit"] == (5, Layer.COMMAND)
    assert effective.settings["gap-size"].origin == f"{lower.path}:6 (/dev/vg0/h*)"
    assert effective.excluded is None
    assert Sources((lower, upper)).effective(Names("/elsewhere")).excluded == upper.rules[0]
    assert Sources((lower, upper)).effective(None)["gap-size"] == 65536


def test_a_rule_may_name_a_link_that_leads_to_the_volume(tmp_path):
    (tmp_path / "dm-3").touch()
    (tmp_path / "home").symlink_to("dm-3")
    names = Names("/mnt", "", frozenset({str(tmp_path / "dm-3")}), frozenset({"/dev/mapper/vg0-home"}))

    assert names.fit(str(tmp_path / "home"))
    assert names.fit("/dev/mapper/vg0-*")
    assert not names.fit("/dev/mapper/vg1-*")
    assert not names.fit(str(tmp_path / "other"))


@pytest.mark.root
def test_a_pattern_may_fit_a_link_below_dev(tmp_path):
    """As it is with logical volumes: ``/dev/vg0/home`` is a link to ``/dev/dm-3``."""
    (tmp_path / "dm-3").touch()
    names = Names("/mnt", "", frozenset({str(tmp_path / "dm-3")}))
    group = Path(tempfile.mkdtemp(prefix="holdstill-", dir="/dev"))
    try:
        (group / "home").symlink_to(tmp_path / "dm-3")
        assert names.fit(f"{group}/*")
        assert names.fit("/dev/.../home")
        assert not names.fit(f"{group}/x*")
    finally:
        shutil.rmtree(group)


@given(st.lists(st.sampled_from(["/a", "/b", "/c", "-/a", "-/b"]), max_size=6), st.integers(0, 6))
def test_a_domain_is_what_all_files_name_without_what_any_takes_out(names, cut):
    files = [OptionsFile("/f", "", domain=tuple(Member(name) for name in part)) for part in (names[:cut], names[cut:])]

    domain = [member.name for member in Sources(tuple(files)).domain()]

    assert domain == [name for name in dict.fromkeys(names) if name[0] == "/" and f"-{name}" not in names]


@pytest.mark.parametrize(("option", "word"), [("mod", "did you mean mode"), ("xyz", "on-no-snapshot"), ("", "mode")])
def test_an_option_that_is_none_is_wrong_usage(option, word):
    with pytest.raises(UsageError) as caught:
        Sources().effective(None, {option: "x"})
    assert word in caught.value.next_step


def test_a_wrong_option_says_what_is_allowed():
    with pytest.raises(UsageError, match="mode") as caught:
        Sources().effective(None, {"mode": "hot"})
    assert "static" in caught.value.next_step


def test_all_is_recorded_as_text():
    texts = Sources().effective(None, {"proof": False, "freeze-limit": 0.5}).texts()

    assert set(texts) == {each.name for each in schema()}
    assert (texts["proof"], texts["freeze-limit"], texts["presnapshotcmd"]) == ("false", "0.5", "")
    assert understood(None, "").general == {}


@pytest.fixture
def names(tmp_path):
    """A device node, a link to it, and a mount of it and of a part of it."""
    (tmp_path / "dm-3").touch()
    (tmp_path / "home").symlink_to("dm-3")
    facts = VolumeFacts(
        path=f"{tmp_path}/home",
        device=f"{tmp_path}/dm-3",
        kind=VolumeKind.BLOCK,
        size=0,
        mounts=(
            Mount(f"{tmp_path}/mnt", "ext4"),
            Mount(f"{tmp_path}/part", "ext4", root="/sub"),
            Mount(f"{tmp_path}/away", "ext4", namespace="77"),
        ),
        identity="dm:LVM-1",
    )
    return Names.of(facts)


@pytest.mark.parametrize(
    ("section", "matches"),
    [
        ("{0}/home", True),
        ("{0}/dm-3", True),
        ("{0}/./x/../dm-3", True),
        ("{0}/other", True),
        ("{0}/mnt", True),
        ("dm:LVM-1", True),
        ("{0}/part", False),
        ("{0}/away", False),
        ("{0}", False),
        ("{0}/home2", False),
        ("home", False),
        ("dm:LVM", False),
        ("", False),
    ],
)
def test_a_section_speaks_of_a_volume_by_any_of_its_names(names, tmp_path, section, matches):
    (tmp_path / "other").symlink_to("home")
    (tmp_path / "x").mkdir()

    assert names.match(section.format(tmp_path)) is matches


def test_a_volume_without_identity_is_not_everybodys():
    assert not attrs.evolve(HOME, identity="").match("")


def test_the_names_of_a_volume_of_another_machine_are_none_of_ours():
    """A section for our own /home is not for the /home over there."""
    facts = VolumeFacts(
        "ssh://host/home", "/dev/sda1", VolumeKind.BLOCK, 1, mounts=(Mount("/home", "ext4"),), identity="ssh://host/x"
    )
    names = Names.of(facts, MemoryMachine("ssh://host", "sunos5"))

    assert not any(names.match(each) or names.fit(each) for each in ("/home", "/dev/sda1", "/dev/*", "/*"))
    assert all(names.match(each) for each in ("ssh://host/home", "ssh://host/dev/sda1", "ssh://host/x"))
    assert names.fit("ssh://host/dev/*")
    assert Sources().effective(names)["on-no-snapshot"] == "static"
