"""What this distribution gives the engine: stills of logical volumes that stay in use."""

from __future__ import annotations

import sys
from typing import Final

from holdstill.model.image import Image
from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.activation import Activation
from holdstill.spi.compatibility import Compatibility
from holdstill.spi.holds import Undone
from holdstill.spi.manager import Manager
from holdstill.spi.newvolume import NewVolume
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume

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


@hookimpl
def recognise(reader: Reader) -> FilesystemFacts | None:
    """Say that a device is a physical volume of LVM1 or LVM2, and of which group."""
    from holdstill_lvm2.ondisk.recognise import recognised

    return recognised(reader)


@hookimpl
def manage(volume: Volume, runner: Runner) -> Manager | None:
    """Speak for logical volumes, and for disks of LVM1."""
    from holdstill_lvm2 import managing

    return managing.manage(volume, runner)


@hookimpl
def activate(path: str, request: HoldRequest) -> Activation | None:
    """A logical volume that is not active."""
    from holdstill_lvm2 import activating

    return activating.activate(path, request)


@hookimpl
def snapshot(volume: Volume, request: HoldRequest) -> Still:
    """A snapshot of a logical volume that stays in use."""
    from holdstill_lvm2.snapshots import holding

    return holding.hold(volume, request)


@hookimpl
def create_volume(name: str, size: int, request: HoldRequest) -> NewVolume | None:
    """Make the logical volume ``group/name``."""
    from holdstill_lvm2 import newvolume

    return newvolume.create(name, size, request)


@hookimpl
def restore(image: Image, target: Volume, runner: Runner) -> RestoreTarget | None:
    """Object to what the matrix refuses."""
    from holdstill_lvm2 import managing

    return managing.destination(image, target, runner)


@hookimpl
def compatibility() -> Compatibility:
    """The matrix of LVM1 and LVM2."""
    from holdstill_lvm2.matrix.rules import Matrix

    return Matrix()


@hookimpl
def undo(kind: str, version: int, data: dict[str, str], runner: Runner) -> Undone | None:
    """Give back what a run acquired."""
    if not kind.startswith("lvm2."):
        return None
    from holdstill_lvm2 import activating, newvolume
    from holdstill_lvm2.snapshots import holding

    if kind == newvolume.KIND:
        return newvolume.undo(version, data, runner)
    if kind == activating.KIND:
        return activating.undo(version, data, runner)
    return holding.undo(kind, version, data, runner)
