"""What a file system says of its blocks: a stream of used extents, or "I do not know"."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from holdstill.model.extents import Extents


@attrs.frozen
class BlockMap:
    """The used bytes of a volume, as a stream of windows.

    ``windows`` is iterated once. Each window is an ``Extents`` inside the volume; windows ascend and do not overlap (a
    window starts at or after the end of the one before), so that 16 TiB with billions of runs never need more memory
    than one window: keep it under about a million runs. The last run may be a whole block that the end of the volume
    cuts. Iterating may raise ``StructureFault`` (the core then takes the whole volume) or ``ReadFault``.
    """

    block_size: int
    """Bytes; what the file system allocates in."""
    windows: Iterable[Extents] = attrs.field(repr=False, eq=False)
    notes: tuple[str, ...] = ()
    """Sentences for the result, such as "the journal was replayed in memory"."""


@attrs.frozen
class WholeVolume:
    """Take every byte, because ``reason`` (a sentence for the user). Slow, never wrong."""

    reason: str
