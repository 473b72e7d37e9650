from __future__ import annotations

from pathlib import Path

import pytest

from holdstill.errors import VolumeUnusable
from holdstill.spi.runner import NoRunner
from holdstill_platforms import plugin
from holdstill_testing.suites.plugin import PluginSuite


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return plugin

    @pytest.fixture
    def entry_point(self) -> str:
        return "platforms"


def test_the_hooks_lead_to_this_platform(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x" * 5000)

    assert plugin.identify(path=str(image), runner=NoRunner(), machine=None).facts.size == 5000
    with pytest.raises(VolumeUnusable):
        plugin.identify(path=str(tmp_path), runner=NoRunner(), machine=None)


def test_the_list_names_devices_that_have_a_size() -> None:
    volumes = plugin.list_volumes(runner=NoRunner())

    assert all(volume.size > 0 and volume.device.startswith("/dev/") for volume in volumes)
    assert not any(Path(volume.device).name.startswith(("ram", "zram")) for volume in volumes)
