"""Volume to still: which way it is held while it is read."""

from __future__ import annotations

from holdstill.errors import NoProvider, VolumeBusy
from holdstill.model.volume import Mode, VolumeFacts
from holdstill.pipeline.stills import DynamicStill, OfflineStill
from holdstill.spi.still import Still
from holdstill.spi.volume import Volume


def hold(volume: Volume, mode: Mode) -> Still:
    """Make the still. ``auto`` is offline for what nobody uses, and refuses the rest: what is in use is never read as
    is unasked.

    Raises ``VolumeBusy``, or ``NoProvider`` for a way of holding that nothing installed offers.
    """
    if mode is Mode.DYNAMIC:
        return DynamicStill(volume)
    if mode is Mode.OFFLINE:
        return OfflineStill(volume)
    if mode is Mode.AUTO:
        if volume.facts.in_use:
            raise VolumeBusy(
                f"in use: {in_use_by(volume.facts)}; nothing installed can make a snapshot of it",
                subject=volume.facts.path,
                next_step="unmount it, or take a dynamic image (--mode dynamic), which is marked fuzzy",
            )
        return OfflineStill(volume)
    raise NoProvider(
        f"no installed provider holds a volume by {mode.value}",
        subject=volume.facts.path,
        next_step="`holdstill providers` lists what is installed and what it can do",
    )


def in_use_by(facts: VolumeFacts) -> str:
    """Who uses the volume, in words."""
    mounts = [f"mounted on {mount.path}" for mount in facts.mounts]
    return ", ".join(mounts + [f"held by {holder}" for holder in facts.holders])
