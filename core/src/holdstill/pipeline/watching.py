"""A still whose space may run out is watched while it is read: told of, made larger, or given up in time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from holdstill.errors import HoldstillError
from holdstill.model.buffers import Room
from holdstill.model.events import Noted, Warned
from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.spi.conversation import Conversation
from holdstill.spi.lent import LentReader
from holdstill.spi.reader import Reader
from holdstill.spi.still import Fill, Still

#: how often it is looked at, seconds
_LOOK: Final = 1.0
#: from here on it is told of, and made larger if it may be; in hundredths of the space
_NEARLY: Final = 75
#: from here on it is given up unless the end is as near
_TOO: Final = 95


class WatchedStill(Still):
    """Another still, and a thread that looks after its space until ``all_was_read``."""

    def __init__(self, still: Still, talk: Conversation, subject: str, *, growth: bool) -> None:
        self._still = still
        self.mode = still.mode
        self.consistency = still.consistency
        self.exactness = still.exactness
        self.not_held = still.not_held
        self.notes = still.notes
        self._talk = talk
        self._subject = subject
        self._growth = growth
        self._over = threading.Event()
        self._why: str | None = None
        self._told = False
        self._read = 0
        self._counting = threading.Lock()
        self.expected = 0
        """Bytes that will be read in all, as far as known: what is missing is guessed from that."""
        self.peak = 0
        """The most of its space that was seen in use, bytes."""
        self._thread: threading.Thread | None = None
        if self._look() is not None:
            self._thread = threading.Thread(target=self._watch, name="snapshot space", daemon=True)
            self._thread.start()

    def open_reader(self) -> Reader:
        """The still's, until its space is given up."""
        return _CountingReader(self._still.open_reader(), self)

    def untrue(self) -> str | None:
        """What the still says; and that it was given up, and what it would have needed."""
        return self._why or self._still.untrue()

    def fill(self) -> Fill | None:
        """The still's."""
        return self._still.fill()

    def audit(self, unused: Extents) -> Audit | None:
        """The still's."""
        return self._still.audit(unused)

    def grow(self) -> bool:
        """The still's."""
        return self._still.grow()

    def mark(self) -> dict[str, str]:
        """The still's."""
        return self._still.mark()

    def changed_since(self, mark: Mapping[str, str]) -> Extents | str:
        """The still's."""
        return self._still.changed_since(mark)

    def keep(self, keeper: str) -> None:
        """The still's."""
        self._still.keep(keeper)

    def let_go(self, keeper: str) -> None:
        """The still's."""
        self._still.let_go(keeper)

    def all_was_read(self) -> None:
        """Nobody needs the space any more."""
        self._look()
        self._stop()
        self._still.all_was_read()

    def release(self) -> None:
        """Stop watching, give back."""
        self._stop()
        self._still.release()

    def given_up(self) -> str | None:
        """Why, if it was."""
        return self._why

    def count(self, length: int) -> None:
        """So many bytes more were read."""
        with self._counting:
            self._read += length

    def _stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self) -> None:
        while not self._over.wait(_LOOK):
            fill = self._look()
            if fill is not None and fill.used * 100 >= fill.size * _NEARLY:
                self._nearly_full(fill)

    def _look(self) -> Fill | None:
        try:
            fill = self._still.fill()
        except HoldstillError:
            return None  # cancelled, or the still is lost: whoever reads it is told
        if fill is not None:
            self.peak = max(self.peak, fill.used)
        return fill

    def _nearly_full(self, fill: Fill) -> None:
        if self._growth and self._still.grow():
            self._talk.tell(Noted("the snapshot's space was nearly full and was made larger", self._subject))
            return
        share = fill.used * 100 // fill.size
        if not self._told:
            self._told = True
            self._talk.tell(Warned("snapshot.nearly-full", f"the snapshot's space is {share}% full", self._subject))
        done = self._read * 100 // self.expected if self.expected else 0
        if share >= _TOO and done < _TOO:
            needed = fill.used * max(self.expected, self._read) // max(1, self._read)
            self._why = (
                f"given up before the snapshot's space overflowed: {share}% of {fill.size} bytes are full and {done}%"
                f" is read; at this rate about {needed} bytes are needed (--snapshot-cache-size)"
            )


class _CountingReader(LentReader):
    """Reads until the still is given up; closes what it was lent."""

    def __init__(self, reader: Reader, still: WatchedStill) -> None:
        super().__init__(reader, still.given_up)
        self._whole = reader
        self._still = still

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the still's reader reads."""
        super().readinto(offset, buffer)
        self._still.count(memoryview(buffer).nbytes)

    def close(self) -> None:
        """The still's own too."""
        super().close()
        self._whole.close()
