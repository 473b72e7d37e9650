"""All distributions are released together: one version, siblings pinned to it."""

import re
import tomllib

import pytest

DISTRIBUTIONS = {
    "holdstill": "core",
    "holdstill-platforms": "providers/platforms",
    "holdstill-filesystems": "providers/filesystems",
    "holdstill-static-unmount": "providers/static_unmount",
    "holdstill-lvm2": "providers/lvm2",
    "holdstill-jfs2": "providers/jfs2",
    "holdstill-remote": "providers/remote",
    "holdstill-fssnap": "providers/fssnap",
    "holdstill-dask": "executors/dask",
    "holdstill-storage": "storage",
    "holdstill-cli": "frontends/cli",
    "holdstill-testing": "tests",
}


@pytest.fixture(scope="module")
def projects(root):
    return {
        name: tomllib.loads((root / folder / "pyproject.toml").read_text())["project"]
        for name, folder in DISTRIBUTIONS.items()
    }


def test_every_distribution_is_known_here(root):
    found = {str(path.parent.relative_to(root)) for path in root.glob("**/pyproject.toml") if ".venv" not in path.parts}
    examples = {folder for folder in found if folder.startswith("tests/e2e/")}
    assert found - examples == {".", *DISTRIBUTIONS.values()}


def test_the_directory_names_the_distribution(projects):
    for name, project in projects.items():
        assert project["name"] == name


def test_one_version(projects):
    from holdstill import __version__

    assert {project["version"] for project in projects.values()} == {__version__}


def test_siblings_are_pinned(projects):
    for project in projects.values():
        extras = project.get("optional-dependencies", {})
        for needed in [*project["dependencies"], *(item for extra in extras.values() for item in extra)]:
            sibling = re.match(r"holdstill(-[\w-]+)?(?!\[)\b", needed)
            if sibling and not needed.startswith("holdstill["):
                assert needed == f"{sibling.group()}=={project['version']}", project["name"]


def test_one_entry_point_each_named_as_the_distribution(projects):
    for name, project in projects.items():
        for plugin, module in project.get("entry-points", {}).get("holdstill", {}).items():
            assert name == f"holdstill-{plugin.replace('_', '-')}"
            assert module == f"holdstill_{plugin}.plugin"
