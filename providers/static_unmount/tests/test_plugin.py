from __future__ import annotations

import pytest

from holdstill.errors import NoProvider
from holdstill.model.volume import Mode
from holdstill.plugins.registry import Plugins
from holdstill.spi.holds import UndoState
from holdstill.spi.runner import NoRunner
from holdstill.spi.still import nowhere
from holdstill_static_unmount import plugin
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.suites.plugin import PluginSuite


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return plugin

    @pytest.fixture
    def entry_point(self) -> str:
        return "static_unmount"


def test_it_makes_no_snapshots(request_for):
    with pytest.raises(NoProvider):
        plugin.snapshot(volume=MemoryVolume(b"x" * 4096), request=request_for(mode=Mode.SNAPSHOT))
    with pytest.raises(NoProvider):
        Plugins.of(plugin).snapshot(MemoryVolume(b"x" * 4096), request_for(mode=Mode.SNAPSHOT))


def test_it_undoes_its_own_kinds_only():
    assert plugin.undo(kind="lvm2.snapshot", version=1, data={}, runner=NoRunner(), find=nowhere) is None
    assert (
        plugin.undo(kind="static_unmount.later", version=1, data={}, runner=NoRunner(), find=nowhere).state
        is UndoState.UNKNOWN
    )
    assert (
        plugin.undo(kind="static_unmount.frozen", version=2, data={}, runner=NoRunner(), find=nowhere).state
        is UndoState.UNKNOWN
    )
