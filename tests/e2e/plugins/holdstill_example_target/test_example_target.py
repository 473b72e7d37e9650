"""The example keeps the contract of targets and of plugins: this file is all that its author writes."""

import holdstill_example_target
import pytest
from holdstill_example_target import SqliteTarget

from holdstill_testing.suites import PluginSuite, TargetSuite


class TestSqliteTarget(TargetSuite):
    @pytest.fixture
    def target(self, tmp_path):
        with SqliteTarget(f"sqlite://{tmp_path / 'objects.sqlite'}") as target:
            target.prepare()
            yield target

    @pytest.fixture
    def second(self, target):
        with SqliteTarget(target.url) as second:
            yield second


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return holdstill_example_target

    @pytest.fixture
    def entry_point(self):
        return "example-target"
