"""The page on modes says what the engine does by its defaults on each system."""

import pytest

from holdstill.model.named import named_requests
from holdstill.preferences.schema import schema


def rows(page):
    table = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table}


@pytest.mark.parametrize(
    ("platform", "system"), [("linux", "Linux"), ("aix", "AIX"), ("hp-ux11", "HP-UX"), ("sunos5", "Solaris")]
)
def test_each_system_is_as_the_page_says(root, platform, system):
    auto, method, _, image, snapshot = rows((root / "docs/reference/modes.md").read_text())[system]
    defaults = {each.name: each.default for each in schema(platform)}
    offered = {each.name for each in named_requests(platform)}

    assert auto.split()[-1] == f"`{defaults['on-no-snapshot']}`"
    assert method == f"`{defaults['static-method']}`"
    assert {"yes": True, "no": False}[image] is ("image" in offered)
    assert {"yes": True, "no": False}[snapshot] is ("snapshot-image" in offered)


def test_each_name_is_on_the_page(root):
    page = rows((root / "docs/reference/modes.md").read_text())

    assert {name: cells[0] for name, cells in page.items() if name.startswith("`")} == {
        f"`{each.name}`": each.label for each in named_requests("linux")
    }
