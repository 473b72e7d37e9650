from __future__ import annotations

import pytest

from holdstill_fssnap import plugin
from holdstill_testing.suites.plugin import PluginSuite


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return plugin

    @pytest.fixture
    def entry_point(self) -> str:
        return "fssnap"


def test_it_undoes_its_own_kind_only():
    assert plugin.undo(kind="lvm2.snapshot", version=1, data={}, runner=None) is None
