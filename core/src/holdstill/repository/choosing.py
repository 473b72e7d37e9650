"""Which packs a prune gives up: those that no image needs, and those that are mostly not needed."""

from __future__ import annotations

import attrs
import numpy as np

from holdstill.repository import envelope, packs
from holdstill.repository.rows import STORED
from holdstill.repository.standing import Preferring, Standing


@attrs.frozen
class Choice:
    """Places of packs in the index, and what giving them up costs. A wrong choice costs space, never data."""

    unneeded: tuple[int, ...]
    mostly_empty: tuple[int, ...]
    copied_size: int
    """Bytes of the needed blobs and rows in those that are mostly empty: read once and stored anew."""

    @property
    def packs(self) -> tuple[int, ...]:
        """All of them."""
        return self.unneeded + self.mostly_empty


def choose(standing: Standing, repack_below: float) -> Choice:
    """Among open packs of settled writers. Of two copies the older row's counts as the needed one."""
    index = standing.shelf.index
    doubts, flags = standing.doubts, standing.open_packs()
    used = np.zeros(len(flags), dtype=np.int64)
    preferring = Preferring.of(standing, flags)
    counted = np.zeros(index.row_count, dtype=np.bool_)
    for kind, ids in standing.needed():
        for fresh in preferring.uncounted(kind, ids, counted):
            np.add.at(used, fresh["pack"], fresh["encoded"].astype(np.int64) + STORED.itemsize)
    if standing.doubts > doubts:
        return choose(standing, repack_below)
    settled = np.isin(index.packs.table["number"], np.fromiter(standing.all_settled, dtype=np.uint64))
    places = np.flatnonzero(flags[: len(settled)] & settled[: len(flags)])
    unneeded, partly = places[used[places] == 0].tolist(), places[used[places] > 0].tolist()
    mostly_empty = [place for place in partly if used[place] < repack_below * room_of(standing, place)]
    return Choice(tuple(unneeded), tuple(mostly_empty), int(used[mostly_empty].sum()))


def room_of(standing: Standing, place: int) -> int:
    """How many bytes of blobs and rows that pack of the index holds."""
    around = envelope.HEADER.size + packs.TRAILER_SIZE + standing.repository.digests.sealing.pack_extra
    return standing.shelf.index.packs[place].size - around
