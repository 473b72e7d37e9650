"""What an index is made of: following rows, on disk in a run or still in memory, and the tables to find them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.repository import runs
from holdstill.repository.rows import STORED, Rows
from holdstill.repository.runs import ROW, Places, Run, Table

#: so many rows on disk are held in memory as well
LITTLE: Final = 1 << 16
#: tables smaller than this are merged whatever their sizes
_SMALL: Final = 4096


@attrs.frozen
class Part:
    """Following rows of the index, in memory or in a run."""

    first: int
    tables: tuple[Table | Run, ...]
    held: NDArray[Any] | None
    """The rows, if they are in memory."""
    run: Run | None = None
    """Where they are, or were read from."""

    def rows(self, wheres: Places) -> NDArray[Any]:
        """Those at these places within the part, with their offsets."""
        if self.held is not None:
            found: NDArray[Any] = self.held[wheres]
            return found
        assert self.run is not None
        return self.run.rows(wheres)

    def span(self, first: int, count: int) -> Rows:
        """Following rows, as they were stored; ``first`` is counted from the beginning of the index."""
        start = first - self.first
        if self.held is not None:
            return runs.unplaced(self.held[start : start + count])
        assert self.run is not None
        return self.run.span(start, count)

    @classmethod
    def of(cls, run: Run, first: int) -> Part:
        """What is little is held in memory."""
        if run.count > LITTLE:
            return cls(first, (run,), None, run)
        return cls(first, (run.table(),), run.all(), run)


@attrs.define
class Recent:
    """The rows that are in memory: they grow in place, so that who looks at a part of them is not disturbed."""

    first: int
    rows: NDArray[Any] = attrs.field(factory=lambda: np.zeros(0, dtype=ROW))
    tables: tuple[Table, ...] = ()
    count: int = 0

    def add(self, packs: Sequence[Rows]) -> Table:
        """Take in the rows of some packs; where they are."""
        together = np.frombuffer(b"".join([stored.tobytes() for stored in packs]), dtype=STORED)
        start, self.count = self.count, self.count + len(together)
        if self.count > len(self.rows):
            room = max(self.count, 2 * len(self.rows), 64) - start
            self.rows = np.concatenate((self.rows[:start], np.zeros(room, dtype=ROW)))
        runs.placed(together, [len(stored) for stored in packs], self.rows[start : self.count])
        return Table(runs.prefixes_of(together), np.arange(start, self.count, dtype=np.uint32))

    def sort_in(self, fresh: Table) -> None:
        """A few sorted tables of falling size, merged as they grow: adding costs little."""
        tables = [*self.tables, Table.of([fresh])]
        while len(tables) > 1 and tables[-2].wheres.size < max(2 * tables[-1].wheres.size, _SMALL):
            last = tables.pop()
            tables[-1] = Table.of([tables[-1], last])
        self.tables = tuple(tables)

    def part(self) -> Part:
        """What is here."""
        return Part(self.first, self.tables, self.rows[: self.count])
