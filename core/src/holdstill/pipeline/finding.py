"""What the user named, made a volume."""

from __future__ import annotations

import os

from holdstill.pipeline import plainfile
from holdstill.plugins.registry import Plugins
from holdstill.spi.volume import Volume


def find(plugins: Plugins, path: str) -> Volume:
    """The volume behind ``path``, from the platform plugin, else as a plain file. Raises ``VolumeError`` and its
    kinds.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100  # links stay as the user named them
    return plugins.identify(absolute) or plainfile.identify(absolute)
