"""The installed plugins, loaded once for all engines of a process, and of those that are forked from it.

To load them, and to look who else may write to them, takes longer than many a job of a test. The server that forks
the processes that are killed imports this: what is killed then is the work, and not the way to it.
"""

from __future__ import annotations

from typing import Final

from holdstill.plugins.loading import installed
from holdstill.plugins.registry import Plugins

FOUND: Final = installed()[0]
INSTALLED: Final = Plugins(FOUND)
INSTALLED.rows()
