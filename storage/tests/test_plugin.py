"""The plugin is sound."""

import pytest

from holdstill_storage import plugin as storage_plugin
from holdstill_testing.suites import PluginSuite


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return storage_plugin

    @pytest.fixture
    def entry_point(self):
        return "storage"


def test_it_names_what_it_opens():
    assert {"file", "memory", "s3"} <= set(storage_plugin.provider_info().schemes)
