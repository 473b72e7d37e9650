"""A static still, by the method that was asked for."""

from __future__ import annotations

from holdstill.errors import NoProvider
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_static_unmount.linux import ground, remounted, unmounted
from holdstill_static_unmount.linux.kernel import Kernel


def hold(volume: Volume, request: HoldRequest, kernel: Kernel | None = None) -> Still:
    """Raises ``VolumeBusy`` and ``VolumeUnusable``, before anything is touched or after all is as it was."""
    if request.mode is not Mode.STATIC:
        raise NoProvider(f"it makes no image by {request.mode.value}", subject=volume.facts.path)
    kernel = kernel or Kernel()
    found = ground.survey(kernel, volume.facts)
    if request.static_method is StaticMethod.UNMOUNT:
        return unmounted.hold(kernel, volume, found, request)
    return remounted.hold(kernel, volume, found, request)
