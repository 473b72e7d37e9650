"""Where the clusters of an attribute lie: packed pairs of a length and of a distance from the pair before.

Source: ntfs-3g libntfs-3g/runlist.c; Linux fs/ntfs3/run.c.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill_filesystems.blocks import Numbers


@attrs.frozen(eq=False)
class Runs:
    """Run ``i`` begins with the attribute's cluster ``start[i]``, at the volume's ``at[i]``, which is -1 for a hole."""

    start: Numbers
    at: Numbers
    length: Numbers

    @classmethod
    def of(cls, rows: list[tuple[int, int, int]]) -> Runs:
        """From rows of start, place and length."""
        start, at, length = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return cls(start, at, length)

    @property
    def clusters(self) -> int:
        """How many clusters the attribute has, holes included."""
        return int(self.length.sum())

    @property
    def holes(self) -> bool:
        """Are there any?"""
        return bool((self.at < 0).any())

    def extents(self, cluster_size: int) -> Extents:
        """What is on the volume, in bytes."""
        there = self.at >= 0
        return Extents.from_arrays(self.at[there] * cluster_size, self.length[there] * cluster_size)

    def pieces(self, offset: int, length: int, cluster_size: int) -> Iterator[tuple[int, int]]:
        """Place and length in bytes of what lies at ``offset`` of the attribute; there must be no holes."""
        end = offset + length
        run = int(np.searchsorted(self.start, offset // cluster_size, side="right")) - 1
        while offset < end:
            begins = int(self.start[run]) * cluster_size
            here = min(end, begins + int(self.length[run]) * cluster_size) - offset
            yield int(self.at[run]) * cluster_size + offset - begins, here
            offset += here
            run += 1


def unpack(packed: bytes, first: int, past: int, clusters: int, what: str) -> list[tuple[int, int, int]]:
    """Rows for ``Runs``: the attribute's clusters from ``first`` up to ``past``, on a volume of ``clusters`` clusters.

    Raises ``StructureFault``, naming ``what``, for a run outside the volume, and unless they end where they should.
    """
    rows: list[tuple[int, int, int]] = []
    at, place, start = 0, 0, first
    while at < len(packed) and packed[at]:
        wide, far = packed[at] & 0xF, packed[at] >> 4
        if not 0 < wide <= 8 or far > 8 or at + 1 + wide + far > len(packed):
            raise StructureFault(f"the runs of {what} are cut off or of no known form")
        length = int.from_bytes(packed[at + 1 : at + 1 + wide], "little", signed=True)
        place += int.from_bytes(packed[at + 1 + wide : at + 1 + wide + far], "little", signed=True)
        at += 1 + wide + far
        if length <= 0 or start + length > past or (far and not 0 <= place <= clusters - length):
            raise StructureFault(f"a run of {what} has {length} clusters at {place}, of {clusters} in the volume")
        rows.append((start, place if far else -1, length))
        start += length
    if start != past:
        raise StructureFault(f"the runs of {what} end at its cluster {start}, not {past}")
    return rows
