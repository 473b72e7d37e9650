"""The page on preferences has every one of them, with what the table says."""

import re

import pytest

from holdstill.preferences.reading import understood
from holdstill.preferences.schema import Group, Type, schema, text


def row(preference):
    """The line that the page must have."""
    values = " · ".join(f"`{choice}`" for choice in preference.choices) or preference.type.value
    default = f"`{text(preference.default)}`" if preference.default != "" else "none"
    return f"| `{preference.name}` | {values} | {default} | {preference.help} |"


@pytest.mark.parametrize("group", Group)
def test_every_preference_is_on_the_page_as_it_is(root, group):
    page = (root / "docs/reference/preferences.md").read_text()
    section = re.search(rf"^## Group `{group}`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)[1]

    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [row(each) for each in schema("linux") if each.group == group]


def test_every_type_is_told(root):
    page = (root / "docs/reference/preferences.md").read_text()

    for kind in set(Type) - {Type.CHOICE}:
        assert f"**{kind}**" in page


def test_every_other_default_is_told(root):
    page = (root / "docs/reference/preferences.md").read_text()
    linux = {each.name: each.default for each in schema("linux")}

    for platform, name in (("aix", "AIX"), ("hp-ux11", "HP-UX"), ("sunos5", "Solaris")):
        for each in schema(platform):
            if each.default != linux[each.name]:
                assert re.search(rf"`{each.name}` is `{each.default}`[^.]*\b{name}\b", page), (each.name, name)


def test_the_example_is_understood(root):
    page = (root / "docs/reference/preferences.md").read_text()
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]

    file = understood(root / "holdstill.toml", example)

    assert file.unknown == ()
    assert file.general
    assert all(file.volumes.values())
