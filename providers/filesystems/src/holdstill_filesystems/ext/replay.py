"""What replaying the journal would make of the blocks of the file system, without writing any.

Source: Linux Documentation/filesystems/ext4/journal.rst; the order of things is that of fs/jbd2/recovery.c. Where the
kernel would stop, guess or complain, this raises ``StructureFault``.
"""

from __future__ import annotations

from array import array
from typing import Final

import numpy as np

from holdstill.errors import StructureFault
from holdstill_filesystems.blocks import Numbers, Overlay, Rows
from holdstill_filesystems.ext.journal import ESCAPED, HEADER, MAGIC, Incompat, Journal, Kind, transaction_checksum

#: more revoked blocks than this are not kept in memory
_MOST_REVOKED: Final = 1 << 21
#: what a logged block began with that would itself have looked like a control block
_MAGIC_BYTES: Final = np.frombuffer(MAGIC.to_bytes(4, "big"), dtype=np.uint8)
_COLUMNS: Final = 5


class Replay(Overlay):
    """The newest committed version of each block in the log. ``transactions`` says how many there are."""

    def __init__(self, journal: Journal) -> None:
        """Read the log to its end."""
        if journal.has(Incompat.FAST_COMMIT):
            raise StructureFault("its journal holds fast commits, which this reader does not replay")
        log = _Log(journal)
        if not journal.empty:
            log.scan()
        self.transactions = log.age
        self._journal = journal
        self._block, self._index, self._age, self._flags, self._checksum = _newest(log)

    def patch(self, first: int, rows: Rows) -> None:
        """Put in place what the log holds for these blocks, after checking it."""
        low, high = np.searchsorted(self._block, (first, first + rows.shape[0]))
        if low == high:
            return
        found = slice(int(low), int(high))
        logged = self._journal.log(self._index[found])
        if self._journal.checks:
            _check(self._journal, logged, self._index[found], self._age[found], self._checksum[found])
        logged[np.flatnonzero(self._flags[found] & ESCAPED), :4] = _MAGIC_BYTES
        rows[self._block[found] - first] = logged


class _Log:
    """One walk through the log. Transactions have ages: 0 for the oldest, whatever its number."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._first: int = journal.record["first"]
        self._past: int = journal.record["blocks"]
        self._at: int = journal.record["start"]
        self._left = self._past - self._first
        # five numbers for each logged block: where it belongs, its place in the log, age, flags, checksum
        self.logged = array("q")
        self.revoked: list[tuple[Numbers, int]] = []
        self._revoked_count = 0
        self.age = 0

    def scan(self) -> None:
        """Take in every committed transaction; one without a commit at its end never happened."""
        committed, sound = 0, 0xFFFFFFFF
        revoked = 0
        while True:
            index = self._at
            data = self._journal.log(np.array([index])).tobytes()
            header = HEADER.parse(data, index)
            expected = (self._journal.record["sequence"] + self.age) & 0xFFFFFFFF
            if header["magic"] != MAGIC or header["sequence"] != expected:
                break
            self._step(1)
            match header["kind"]:
                case Kind.DESCRIPTOR:
                    self._journal.check_tail(data, index)
                    sound = self._descriptor(data, sound)
                case Kind.REVOKE:
                    self._journal.check_tail(data, index)
                    self._revoke(data)
                case Kind.COMMIT:
                    self._journal.check_commit(data, index, sound)
                    self.age += 1
                    committed, revoked, sound = len(self.logged), len(self.revoked), 0xFFFFFFFF
                case _:
                    break
        del self.logged[committed:]
        del self.revoked[revoked:]

    def _step(self, count: int) -> Numbers:
        """Go on by so many log blocks, round the end; returns their places."""
        if count > self._left:
            raise StructureFault("the log of the journal has no end")
        self._left -= count
        length = self._past - self._first
        passed = (self._at - self._first + np.arange(count, dtype=np.int64)) % length + self._first
        self._at = (self._at - self._first + count) % length + self._first
        return passed

    def _descriptor(self, data: bytes, sound: int) -> int:
        tags = list(self._journal.tags(data))
        places = self._step(len(tags))
        table = np.empty((len(tags), _COLUMNS), dtype=np.int64)
        table[:, 0] = [tag.block for tag in tags]
        table[:, 1] = places
        table[:, 2] = self.age
        table[:, 3] = [tag.flags for tag in tags]
        table[:, 4] = [tag.checksum for tag in tags]
        if int(table[:, 0].max()) >= self._journal.blocks.count:
            raise StructureFault("the journal holds a block from outside the file system")
        self.logged.frombytes(table.tobytes())
        if self._journal.checks_transactions:
            sound = transaction_checksum(data + self._journal.log(places).tobytes(), sound)
        elif self._journal.has(Incompat.ASYNC_COMMIT) and self._journal.checks:
            # the commit may have reached the disk before the blocks it commits
            _check(self._journal, self._journal.log(places), *table[:, [1, 2, 4]].T)
        return sound

    def _revoke(self, data: bytes) -> None:
        blocks = self._journal.revoked(data)
        self._revoked_count += blocks.size
        if self._revoked_count > _MOST_REVOKED:
            raise StructureFault(f"the journal revokes more than {_MOST_REVOKED} blocks")
        self.revoked.append((blocks, self.age))


def _newest(log: _Log) -> tuple[Numbers, ...]:
    """The columns of ``log.logged``, each block once: the last version that is not revoked in its own time or later."""
    table = np.frombuffer(log.logged, dtype=np.int64).reshape(-1, _COLUMNS)
    blocks = np.concatenate([np.empty(0, dtype=np.int64), *(blocks for blocks, _ in log.revoked)])
    ages = np.repeat(
        np.array([age for _, age in log.revoked], dtype=np.int64), [blocks.size for blocks, _ in log.revoked]
    )
    blocks, ages = _last_of_each(blocks, ages)
    if blocks.size:
        at = np.minimum(np.searchsorted(blocks, table[:, 0]), blocks.size - 1)
        table = table[(blocks[at] != table[:, 0]) | (ages[at] < table[:, 2])]
    order = np.argsort(table[:, 0], kind="stable")
    table = table[order]
    last = np.append(table[1:, 0] != table[:-1, 0], True)[: table.shape[0]]
    return tuple(column.copy() for column in table[last].T)


def _last_of_each(blocks: Numbers, ages: Numbers) -> tuple[Numbers, Numbers]:
    order = np.argsort(blocks, kind="stable")
    blocks, ages = blocks[order], ages[order]
    last = np.append(blocks[1:] != blocks[:-1], True)[: blocks.size]
    return blocks[last], ages[last]


def _check(journal: Journal, rows: Rows, index: Numbers, age: Numbers, checksum: Numbers) -> None:
    """Check logged blocks against their tags."""
    sequence = (journal.record["sequence"] + age) & 0xFFFFFFFF
    wrong = np.flatnonzero(journal.checksums(rows, sequence) != checksum)
    if wrong.size:
        raise StructureFault(f"log block {int(index[wrong[0]])} of the journal does not fit its checksum")
