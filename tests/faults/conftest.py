"""A repository, a volume that was imaged once, and the same volume changed since."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import attrs
import pytest

from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG
from holdstill_testing import volumes
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, digest
from holdstill_testing.workbench import Workbench


@pytest.fixture(autouse=True)
def _root_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@attrs.frozen
class Scene:
    """One committed image, and a volume that has changed since it was taken."""

    bench: Workbench
    volume: Path
    image: str
    due_first: str
    """SHA-256 of what the committed image must give back."""
    due_now: str
    """SHA-256 of what an image of the volume as it is now must give back."""
    packs: dict[str, int]
    """The packs of the committed image."""

    def copied(self, place: Path) -> Scene:
        """The same repository once more, so that each round begins as the others did."""
        bench = Workbench.at(place)
        shutil.copytree(self.bench.repository, bench.repository)
        return attrs.evolve(self, bench=bench)

    def assert_every_image_comes_back(self, place: Path) -> int:
        """Restore all that is committed, compare bit for bit, and say how many there are."""
        images = self.bench.engine.images(self.bench.url)
        assert images[0].id == self.image
        for number, image in enumerate(images):
            restored = place / f"restored{number}"
            self.bench.restore(image.id, restored)
            assert digest(restored) == (self.due_now if number else self.due_first)
            restored.unlink()
        return len(images)


@pytest.fixture(scope="session")
def small_packs(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The settings of a repository in which even a small volume fills many packs."""
    config = Config.fresh(single_writer=False, chunk_size=64 << 10, digest=None, codec=None)
    return attrs.evolve(config, pack_size=MIB)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory, small_packs: Config) -> Scene:
    """Made once; whoever writes takes a copy."""
    place = tmp_path_factory.mktemp("scene")
    content = place / "content"
    content.mkdir()
    volumes.ageing(content, dice("scene"), files=60)
    volume = volumes.ext4(place / "volume", 24 * MIB, content=content)
    bench = Workbench.at(place)
    bench.repository.mkdir()
    (bench.repository / CONFIG).write_bytes(b"".join(small_packs.sealed()))
    first, due_first = bench.back_up(volume).image, bench.due(volume)
    packs = bench.packs()
    fresh = volumes.noise(place / "fresh", 5 * MIB, dice("fresh"))
    volumes.run("debugfs", "-w", "-R", f"write {fresh} fresh", volume)
    assert volumes.is_clean(volume)
    return Scene(bench, volume, first, due_first, bench.due(volume), packs)
