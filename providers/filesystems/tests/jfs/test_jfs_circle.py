"""Through the engine and back: an image of a JFS, restored to a file; and the map as the command shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill.engine import Engine
from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite
from holdstill_testing.workbench import Workbench


@pytest.fixture
def bench(tmp_path):
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    return Workbench(engine, tmp_path / "repository", tmp_path / "state")


@pytest.mark.parametrize("name", ["filled", "fragmented", "resized", "new-short"])
def test_an_image_restored_to_a_file_is_the_file_system_again(jfs, jfs_image, bench, tmp_path, name):
    image = jfs(name)

    done = bench.back_up(image.path)
    bench.restore(done.image, tmp_path / "restored.img")

    assert done.whole_volume_because is None
    restored = jfs_image(tmp_path / "restored.img")
    assert image.missing_from(restored) is None
    assert restored.map() == image.map()


def test_the_command_shows_the_map(jfs):
    image = jfs("filled")
    command = [Path(sys.executable).with_name("holdstill"), "map", "--json", image.path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    shown = json.loads(told.splitlines()[-1])

    assert (shown["filesystem"], shown["whole_volume_because"]) == ("jfs", None)
    assert Extents.of(*(tuple(extent) for extent in shown["extents"])) == image.map()


class TestPublishedSuite(BlockMapSuite):
    """On the one that was once full."""

    @pytest.fixture
    def enumerate_used_blocks(self):
        return plugin.enumerate_used_blocks

    @pytest.fixture
    def facts(self, jfs):
        with FileReader(jfs("full").path) as reader:
            return plugin.recognise(reader)

    @pytest.fixture
    def image(self, jfs):
        return jfs("full").path.read_bytes()

    @pytest.fixture
    def truth(self, jfs):
        return jfs("full").walked()
