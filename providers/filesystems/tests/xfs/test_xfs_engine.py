"""XFS the whole way: an image through the engine, back into a file, and what the command says of the map."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill import Engine
from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing.workbench import Workbench
from holdstill_testing.xfs_images import XfsImage

pytestmark = pytest.mark.root


@pytest.fixture
def bench(tmp_path):
    """A new repository."""
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    return Workbench(engine, tmp_path / "repository", tmp_path / "state")


@pytest.mark.parametrize("name", ["default", "frozen", "v4"])
def test_it_comes_back(bench, made_xfs, tmp_path, name):
    image = made_xfs(name)

    result = bench.back_up(image.path, gap_size=1)
    assert bench.restore(result.image, tmp_path / "restored").proved

    assert result.volume.filesystem.name == "xfs"
    assert not result.whole_volume_because
    assert result.sizes.used_size == image.map(plugin).total < image.size // 2
    assert image.missing_from(XfsImage(tmp_path / "restored", image.kind)) is None


def test_the_command_tells_the_map(made_xfs):
    image = made_xfs("default")
    command = (Path(sys.executable).with_name("holdstill"), "map", "--json", image.path)

    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    found = json.loads(told)
    assert found["filesystem"] == "xfs"
    assert Extents.of(*found["extents"]) == image.map(plugin)
