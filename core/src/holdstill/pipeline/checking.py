"""What the plugins take for so on a host, asked of it."""

from __future__ import annotations

import platform
import sys

from holdstill.pipeline.away import asking
from holdstill.plugins.registry import Plugins
from holdstill.spi.checks import HostReport


def checked(plugins: Plugins, url: str | None, version: str) -> HostReport:
    """The report of this host, or of the machine behind ``url``. Raises ``MachineError`` and its kinds."""
    if url is None:
        return HostReport(platform.node(), sys.platform, version, tuple(plugins.check_host(asking())))
    there = plugins.reach(url.rstrip("/"), asking())
    return HostReport(there.name, there.system, version, tuple(plugins.check_host(there.runner, there)))
