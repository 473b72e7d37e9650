"""After a restore: the log of a JFS2 is formatted, never replayed."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.model.image import Image
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.volume import Volume

_NEVER: Final = (
    "before it is checked or mounted; what stands in a log is of another time and must never be replayed (logredo)"
)


@attrs.frozen
class Destination(RestoreTarget):
    """A volume that a JFS2 is restored to. ``log``: as the mount table had it when the image was taken."""

    device: str
    log: str

    def objections(self) -> tuple[str, ...]:
        """None."""
        return ()

    def by_hand_first(self) -> str:
        """A check would replay the log, and so would a mount."""
        return "its log must be formatted first"

    def finish(self) -> tuple[str, ...]:
        """What is to be typed. A log of its own is shared with other file systems: nobody formats that unasked."""
        if self.log == "INLINE":
            return (f"format the log inside it, `logform {self.device}`, {_NEVER}",)
        if self.log:
            return (
                f"format its log, `logform {self.log}` (while no file system that uses that log is mounted), {_NEVER}",
            )
        return (f"format its log with `logform` ({self.device} itself, if the log is inside it), {_NEVER}",)


def destination(image: Image, target: Volume) -> Destination | None:
    """This provider's part in a restore; None for what is no JFS2."""
    filesystem = image.volume.filesystem
    if filesystem is None or filesystem.name != "jfs2":
        return None
    options = [option for mount in image.volume.mounts for option in mount.options.split(",")]
    log = next((option.removeprefix("log=") for option in options if option.startswith("log=")), "")
    return Destination(target.facts.device, log)
