"""What the plugin says of itself."""

from __future__ import annotations

import pytest

from holdstill_lvm2 import plugin
from holdstill_testing.suites.plugin import PluginSuite


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return plugin

    @pytest.fixture
    def entry_point(self) -> str:
        return "lvm2"
