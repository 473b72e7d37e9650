"""What a plugin is held to: subclass a suite, override its fixtures, and run pytest.

The suites need pytest only. Their names end in ``Suite``, so that importing one collects nothing.
"""

from holdstill_testing.suites.base import ConformanceSuite
from holdstill_testing.suites.blockmap import BlockMapSuite
from holdstill_testing.suites.plugin import PluginSuite
from holdstill_testing.suites.reader import ReaderSuite
from holdstill_testing.suites.still import StillSuite
from holdstill_testing.suites.target import TargetSuite

__all__ = ["BlockMapSuite", "ConformanceSuite", "PluginSuite", "ReaderSuite", "StillSuite", "TargetSuite"]
