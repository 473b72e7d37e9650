"""The control block that AIX keeps at the beginning of a logical volume.

A restore to a device leaves it to the target: it says what the *target* is. An image, and a file that it is restored
to, hold it like everything else (IBM, "Restore an image to a file"). Volume groups of the larger kinds keep it
elsewhere; there the first sector is the user's, so it is known by its first bytes.
"""

from __future__ import annotations

from typing import Final

from holdstill.model.extents import Extents
from holdstill.model.volume import VolumeKind
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.volume import Volume

#: bytes; IBM's own client skips so many
SIZE: Final = 512
#: what it begins with [R]
MAGIC: Final = b"AIX LVCB"


class KeptControlBlock(RestoreTarget):
    """The first sector stays the target's."""

    def objections(self) -> tuple[str, ...]:
        """None."""
        return ()

    def preserved_ranges(self) -> Extents:
        """The first sector."""
        return Extents.of((0, SIZE))

    def finish(self) -> tuple[str, ...]:
        """Say so."""
        return (f"the first {SIZE} bytes are the control block of the target's own logical volume: they were kept",)


def of(target: Volume) -> KeptControlBlock | None:
    """None where there is none. Raises ``VolumeError`` and its kinds."""
    if target.facts.facts.get("system") != "AIX" or target.facts.kind is not VolumeKind.BLOCK:
        return None
    with target.open_reader(exclusive=False) as reader:
        return KeptControlBlock() if reader.read(0, SIZE).startswith(MAGIC) else None
