"""What may be set of this provider: ``jfs2.extents`` and ``jfs2.snapshot`` in ``provider-settings``."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.spi.still import HoldRequest

NAME: Final = "jfs2"
KNOWN: Final = {"extents": ("fscntl",), "snapshot": ("external", "internal")}


@attrs.frozen
class Settings:
    """What somebody chose."""

    unproven: bool
    """May the kernel be asked what has moved, although no real host has proven how?"""
    internal: bool
    """Snapshots in the file system itself, in place of a volume of their own?"""

    @classmethod
    def of(cls, request: HoldRequest) -> Settings:
        """Raises ``UsageError`` for what there is not."""
        said = request.settings_of(NAME, KNOWN)
        return cls("extents" in said, said.get("snapshot") == "internal")
