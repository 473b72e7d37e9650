"""The table: every preference, what it may be, and that it drives something."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.model import requests
from holdstill.preferences.schema import Preference, Type, schema, text

TABLE = {each.name: each for each in schema("linux")}
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["yes", "No", "64K", "1e3", "static", "fail", "unmount", ""]),
    st.lists(st.text()),
    st.datetimes(),
)


def values(preference: Preference) -> st.SearchStrategy:
    """Everything that a preference may be given, as text or as its own type."""
    match preference.type:
        case Type.CHOICE:
            return st.sampled_from(preference.choices)
        case Type.SIZE:
            return st.one_of(st.integers(0, 1 << 62), st.sampled_from(["0", "64K", "2GiB"]))
        case Type.SPACE:
            return st.one_of(st.integers(1, 1 << 62), st.sampled_from(["", "1%", "100%", "512M"]))
        case Type.NAME:
            return st.sampled_from(["", "any", "lvm2", "GOLD_2-x"])
        case Type.SECONDS:
            return st.one_of(st.integers(1, preference.most), st.floats(0.001, preference.most))
        case Type.BOOLEAN:
            return st.one_of(st.booleans(), st.sampled_from(["yes", "no", "true", "FALSE"]))
        case Type.SETTINGS:
            return st.sampled_from(["", "jfs2.extents=fscntl", "lvm2.a-b=1  jfs2.extents=x,y"])
        case Type.COMMAND:
            return st.sampled_from(["", "sync", "/bin/echo 'a b' \\\" #"])


def test_names_are_unique_and_spelt_alike():
    assert len(TABLE) == len(schema("linux"))
    assert [name for name in TABLE if not name.replace("-", "").isalnum() or not name.islower()] == []


@pytest.mark.parametrize("preference", TABLE.values(), ids=TABLE)
def test_each_drives_a_field_of_a_request_that_may_be_left_out(preference):
    owner, _, field = preference.drives.partition(".")
    request = getattr(requests, owner)
    assert getattr(attrs.fields(request), field).default is None


def test_no_two_drive_the_same():
    assert len({each.drives for each in TABLE.values()}) == len(TABLE)


@pytest.mark.parametrize("platform", ["linux", "aix", "hp-ux11", "sunos5"])
def test_a_default_is_one_of_its_values(platform):
    for each in schema(platform):
        assert each.value(each.default) == each.default
        assert type(each.default) is not str or each.type in (
            Type.CHOICE,
            Type.COMMAND,
            Type.SPACE,
            Type.NAME,
            Type.SETTINGS,
        )
        assert bool(each.choices) == (each.type is Type.CHOICE)
        assert bool(each.most) == (each.type is Type.SECONDS)


@pytest.mark.parametrize(
    ("platform", "no_snapshot", "provider"),
    [
        ("linux", "fail", "any"),
        ("aix", "fail", "any"),
        ("hp-ux11", "static", "any"),
        ("sunos5", "static", "none"),
    ],
)
def test_what_is_done_without_a_snapshot_depends_on_the_platform(platform, no_snapshot, provider):
    table = {each.name: each.default for each in schema(platform)}
    assert (table["on-no-snapshot"], table["snapshot-provider"]) == (no_snapshot, provider)
    assert table["static-method"] == "remount"


@pytest.mark.parametrize("preference", TABLE.values(), ids=TABLE)
@given(data=st.data())
def test_a_value_is_the_same_after_it_was_text(preference, data):
    value = preference.value(data.draw(values(preference)))

    again = preference.value(text(value))
    assert (again, type(again)) == (value, type(value))


@pytest.mark.parametrize("preference", TABLE.values(), ids=TABLE)
@given(given=ANYTHING)
def test_anything_is_a_value_or_refused(preference, given):
    kinds = {Type.SIZE: int, Type.SECONDS: (int, float), Type.BOOLEAN: bool}
    try:
        value = preference.value(given)
    except ValueError:
        return
    assert isinstance(value, kinds.get(preference.type, str))
    assert preference.value(value) == value


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("gap-size", "1M", 1 << 20),
        ("gap-size", 0, 0),
        ("proof", "no", False),
        ("proof", "TRUE", True),
        ("freeze-limit", "2.5", 2.5),
        ("freeze-limit", 60.0, 60),
        ("freeze-limit", 3600, 3600),
        ("mode", "freeze", "freeze"),
        ("snapshot-cache-size", "20%", "20%"),
        ("snapshot-cache-size", "512M", "512M"),
        ("snapshot-cache-size", 4096, "4096"),
        ("snapshot-provider", "lvm2", "lvm2"),
        ("retention-class", "GOLD", "GOLD"),
        ("postsnapshotcmd", "sh -c 'a b'", "sh -c 'a b'"),
    ],
)
def test_values_in_their_spellings(name, given, value):
    assert TABLE[name].value(given) == value
