"""Which packs and rows of an index can be relied on, as far as a verification has looked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from holdstill.errors import ObjectMissing
from holdstill.repository.findings import Findings
from holdstill.repository.index import Flags, Index
from holdstill.repository.listing import Listing
from holdstill.repository.rows import Rows
from holdstill.spi.target import Target

#: what is said of a pack that should be there
MISSING: Final = "the pack is missing"


class Condition:
    """A flag for each pack and each row of an index. Nothing is bad until it is found to be."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.good_packs: Flags = np.ones(len(index.packs), dtype=np.bool_)
        self.good_rows: Flags = np.ones(index.row_count, dtype=np.bool_)
        self.gone: set[str] = set()
        """Packs that a prune has deleted: no damage, unless an image needs one."""

    def good(self, rows: Rows) -> Flags:
        """Which of these rows can be relied on."""
        good: Flags = self.good_packs[rows["pack"]] & self.good_rows[rows["ordinal"]]
        return good

    @property
    def all_good(self) -> bool:
        """Was nothing bad found?"""
        return bool(self.good_packs[self.not_gone()].all() and self.good_rows.all())

    def not_gone(self) -> Flags:
        """All packs that should be there."""
        return ~self.index.packs.named(self.gone, ())

    def look_for_packs(
        self, target: Target, listed: Listing, may_be_gone: Callable[[str], bool], findings: Findings
    ) -> None:
        """Is every pack there, in the size that its rows imply? What the listing does not say is asked for."""
        packs = self.index.packs
        right = listed.sizes(packs) == packs.table["size"]
        for place in np.flatnonzero(~right).tolist():
            if self.index.stands_for_none(place):
                self.pack_is_gone(place)
                continue
            pack = packs[place]
            try:
                size = target.size(pack.key)
            except ObjectMissing:
                if may_be_gone(pack.key):
                    self.pack_is_gone(place)
                else:
                    self.pack_is_bad(place, MISSING, findings)
                continue
            if size != pack.size:
                self.pack_is_bad(place, f"the pack has {size} bytes, not {pack.size}", findings)

    def pack_is_gone(self, place: int) -> None:
        """A prune has deleted it."""
        self.gone.add(self.index.packs[place].key)
        self.good_packs[place] = False

    def pack_is_bad(self, place: int, problem: str, findings: Findings) -> None:
        """Nothing in this pack can be relied on."""
        findings.add(self.index.packs[place].key, problem)
        self.good_packs[place] = False

    def rows_are_bad(self, place: int, bad: list[int], findings: Findings) -> None:
        """These rows of this pack name blobs that are not what they should be."""
        pack = self.index.packs[place]
        findings.add(pack.key, f"{len(bad)} of its {pack.rows} blobs are not what their digests say")
        self.good_rows[[pack.first + row for row in bad]] = False
