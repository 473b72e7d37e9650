"""What this distribution gives the engine: stills of logical volumes that stay in use."""

from __future__ import annotations

import sys
from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform == "linux"
    return ProviderInfo(
        name="lvm2",
        summary="snapshots of LVM2 volumes that stay in use",
        modes=("snapshot",),
        applies_here=here,
        because="" if here else f"LVM2 is Linux only, and this is {sys.platform}",
    )
