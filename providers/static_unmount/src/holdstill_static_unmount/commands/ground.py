"""What is found before anything is touched: the one mount of the volume, and why it may not be."""

from __future__ import annotations

from holdstill.errors import VolumeBusy, VolumeUnusable
from holdstill.model.volume import Mount
from holdstill.spi.volume import Volume


def the_mount(volume: Volume) -> Mount:
    """Raises ``VolumeUnusable`` for what is not to be made static, ``VolumeBusy`` for what must be let go first."""
    facts = volume.facts
    if not facts.mounts:
        raise VolumeUnusable(
            "it is not mounted", subject=facts.path, next_step="use --mode offline when it is not mounted at all"
        )
    if any(mount.path == "/" for mount in facts.mounts):
        raise VolumeUnusable(
            "it is the root file system; the host cannot go on without it",
            subject=facts.path,
            next_step="take it by a snapshot, or as it is (--mode dynamic)",
        )
    if len(facts.mounts) > 1:
        places = ", ".join(mount.path for mount in facts.mounts)
        raise VolumeUnusable(
            f"it is mounted in several places: {places}", subject=facts.path, next_step="unmount all but one of them"
        )
    if facts.mounts[0].root != "/":
        raise VolumeUnusable(
            f"{facts.mounts[0].path} shows only a part of it, {facts.mounts[0].root}",
            subject=facts.path,
            next_step="take it by a snapshot, or as it is (--mode dynamic)",
        )
    if facts.nested:
        below = ", ".join(f"{mount.path} ({mount.filesystem})" for mount in facts.nested)
        raise VolumeBusy(f"mounted below it: {below}", subject=facts.path, next_step="unmount those first")
    if facts.holders:
        raise VolumeBusy(
            f"it is held: {', '.join(facts.holders)}", subject=facts.path, next_step="let go of that first"
        )
    return facts.mounts[0]


def in_the_way(volume: Volume, said: str = "") -> VolumeBusy:
    """The error of a volume that is not let go, naming who has it, as far as the system says."""
    users = volume.users()
    who = f"used by {', '.join(users)}" if users else said or "somebody who cannot be seen uses it"
    return VolumeBusy(
        f"it cannot be unmounted: {who}",
        subject=volume.facts.path,
        next_step="stop those, or choose another mode; it is mounted as before",
    )
