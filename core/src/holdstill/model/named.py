"""The requests that administrators know by name: what a frontend offers in its drop-down list."""

from __future__ import annotations

import sys
from typing import Final

import attrs

from holdstill.model.requests import BackupRequest
from holdstill.model.volume import Mode


@attrs.frozen
class NamedRequest:
    """One entry of the list. What it leaves open the preferences say: the snapshot provider above all."""

    name: str
    label: str
    """As the graphical client of TSM has it."""
    help: str
    mode: Mode | None = None
    """None: what the preferences of the volume say."""
    platforms: tuple[str, ...] = ()
    """Where it is offered, as ``sys.platform`` begins; none named: everywhere."""

    def request(self, volume: str) -> BackupRequest:
        """What it means for a volume. More may be said with ``attrs.evolve``."""
        return BackupRequest(volume, mode=self.mode)


_NAMED: Final = (
    NamedRequest(
        "image",
        "Image Backup",
        "As the preferences say: a snapshot where the provider they name makes one; static where they name none;"
        " offline where nobody uses the volume.",
    ),
    NamedRequest(
        "snapshot-image",
        "Snapshot Image Backup",
        "Online: from a snapshot by the provider that the preferences name, or not at all.",
        Mode.SNAPSHOT,
        platforms=("linux", "aix"),
    ),
)


def named_requests(platform: str = sys.platform) -> tuple[NamedRequest, ...]:
    """Those that a platform offers (as ``sys.platform`` names it), in the order of the list."""
    return tuple(each for each in _NAMED if not each.platforms or platform.startswith(each.platforms))
