"""The layers: the command above the volume, the volume above the file, the file above the default."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import UsageError
from holdstill.model.volume import Mount, VolumeFacts, VolumeKind
from holdstill.preferences.files import OptionsFile, understood
from holdstill.preferences.schema import schema
from holdstill.preferences.sources import Layer, Names, Sources

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
