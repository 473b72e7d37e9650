"""What a volume stands on: the one JFS2 that is mounted from it."""

from __future__ import annotations

import attrs

from holdstill.errors import NoProvider
from holdstill.model.volume import Mount
from holdstill.spi.volume import Volume


@attrs.frozen
class Ground:
    """A JFS2 that is mounted and can be written to."""

    place: str
    device: str
    mount: Mount

    @property
    def volume(self) -> str:
        """The name of its logical volume."""
        return self.device.removeprefix("/dev/")


def ground(volume: Volume) -> Ground:
    """Raises ``NoProvider`` for anything else than one JFS2 that is mounted for writing."""
    facts = volume.facts
    if [mount.filesystem for mount in facts.mounts] != ["jfs2"] or not facts.device.startswith("/dev/"):
        raise NoProvider(
            "it is no JFS2 that is mounted once",
            subject=facts.path,
            next_step="choose another mode; `auto` chooses by itself",
        )
    mount = facts.mounts[0]
    if "snapshot" in mount.options.split(","):
        raise NoProvider("it is a snapshot, and of a snapshot there is none", subject=facts.path)
    return Ground(mount.path, facts.device, mount)
