"""Root runs no plugin that others could have written; that is found out before a line of it runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import holdstill
from holdstill.plugins.registry import Plugins

pytestmark = pytest.mark.root

#: leaves a mark when it is run
MARKING = """
import pathlib
pathlib.Path(__file__).with_suffix(".ran").touch()
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
API = 0
@hookimpl
def provider_info():
    return ProviderInfo("{name}", "a plugin")
"""


@pytest.fixture
def marking(install, tmp_path):
    """An installed plugin, and a way to look at it: ``marking()`` is why it is broken, and whether it ran."""
    tmp_path.chmod(0o755)
    install("some-dist", "some", MARKING)

    def look():
        (row,) = (row for row in Plugins.installed().rows() if row.name == "some")
        return row.broken, (tmp_path / "some_dist_some.ran").exists()

    return look


def test_what_is_roots_is_loaded(marking):
    assert marking() == (None, True)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_folder_writable_by_others_is_refused(marking, tmp_path, mode):
    tmp_path.chmod(mode)

    reason, ran = marking()
    assert reason == f"root does not load it: {tmp_path} is writable by others (mode {mode:o})"
    assert not ran


def test_a_file_writable_by_others_is_refused(marking, tmp_path):
    (tmp_path / "some_dist_some.py").chmod(0o666)

    reason, ran = marking()
    assert "some_dist_some.py is writable by others" in reason
    assert not ran


def test_what_belongs_to_another_is_refused(marking, tmp_path):
    os.chown(tmp_path / "some_dist_some.py", 65534, 65534)

    reason, ran = marking()
    assert "belongs to user 65534" in reason
    assert not ran


def test_every_file_of_a_package_counts(install, tmp_path):
    tmp_path.chmod(0o755)
    install("deep-dist", "deep", MARKING)
    package = tmp_path / "deep_dist_deep"
    (package / "inner").mkdir(parents=True)
    shutil.move(tmp_path / "deep_dist_deep.py", package / "__init__.py")
    (package / "inner/part.py").touch()
    (package / "inner/part.py").chmod(0o662)

    (row,) = (row for row in Plugins.installed().rows() if row.name == "deep")
    assert "inner/part.py is writable by others (mode 662)" in row.broken
    assert not (package / "__init__.ran").exists()

    (package / "inner/part.py").chmod(0o644)
    (package / "inner/__pycache__").mkdir()
    (package / "inner/__pycache__").chmod(0o777)
    (row,) = (row for row in Plugins.installed().rows() if row.name == "deep")
    assert "inner/__pycache__ is writable by others (mode 777)" in row.broken


def test_where_the_engine_is_everybodys_there_is_nothing_to_guard(install, tmp_path):
    """A copy of the engine that others can write to, as in a developer's own folder."""
    install("some-dist", "some", MARKING)
    shutil.copytree(Path(holdstill.__file__).parent, tmp_path / "holdstill")
    script = (
        "import json, holdstill; from holdstill.plugins.registry import Plugins;"
        "print(json.dumps([holdstill.__file__, {row.name: row.broken for row in Plugins.installed().rows()}]))"
    )
    for mode, reason in ((0o755, None), (0o777, None)):
        tmp_path.chmod(mode)
        ran = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True
        )
        place, rows = json.loads(ran.stdout)
        assert place.startswith(str(tmp_path))
        assert rows["some"] == reason
