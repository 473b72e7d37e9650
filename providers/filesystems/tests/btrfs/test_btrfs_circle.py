"""Through the engine and back: an image of a Btrfs, restored to a file, sound to btrfs check and in every file."""

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

pytestmark = pytest.mark.root


@pytest.fixture
def bench(tmp_path):
    engine = Engine(state=str(tmp_path / "state"))
    engine.init(str(tmp_path / "repository"))
    return Workbench(engine, tmp_path / "repository", tmp_path / "state")


@pytest.mark.parametrize("name", ["default", "balanced"])
def test_an_image_restored_to_a_file_is_the_file_system_again(made, bench, tmp_path, name, btrfs_image):
    image = made(name)

    done = bench.back_up(image.path)
    bench.restore(done.image, tmp_path / "restored.img")

    assert done.whole_volume_because is None
    restored = btrfs_image(tmp_path / "restored.img", image.kind)
    assert image.missing_from(restored) is None
    assert Extents.of(*bench.used(restored.path)) == image.map()


def test_the_command_shows_the_map(made):
    image = made("default")
    command = [Path(sys.executable).with_name("holdstill"), "map", "--json", image.path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    shown = json.loads(told.splitlines()[-1])

    assert (shown["filesystem"], shown["whole_volume_because"]) == ("btrfs", None)
    assert Extents.of(*(tuple(extent) for extent in shown["extents"])) == image.map()


class TestPublishedSuite(BlockMapSuite):
    """On the smallest of the kinds."""

    @pytest.fixture
    def enumerate_used_blocks(self):
        return plugin.enumerate_used_blocks

    @pytest.fixture
    def facts(self, made):
        with FileReader(made("small").path) as reader:
            return plugin.recognise(reader)

    @pytest.fixture
    def image(self, made):
        return made("small").path.read_bytes()

    @pytest.fixture
    def truth(self, made):
        return made("small").truth()
