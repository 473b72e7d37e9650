"""The one line on a terminal that says how far a job is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from holdstill.model.events import Progress
from holdstill_cli.streams import Streams
from holdstill_cli.tables import clock, human, printable

#: the rate is that of the last so many seconds: steady enough to read, fresh enough to believe
_MEMORY: Final = 15.0


class ProgressLine:
    """Draws and wipes one line of standard error; does nothing where that is no terminal."""

    def __init__(self, streams: Streams, now: Callable[[], float] = time.monotonic) -> None:
        self._streams = streams
        self._now = now
        self._about = ("", "")
        self._marks: deque[tuple[float, int]] = deque()
        self._drawn = False

    def show(self, progress: Progress) -> None:
        """Draw how far it is."""
        if self._streams.someone_watches:
            self._draw(self.sentence(progress))

    def begin(self, stage: str, subject: str) -> None:
        """Draw that a stage has begun, before anything is known of how far it is."""
        if self._streams.someone_watches:
            self._draw(" ".join(filter(None, (stage, printable(subject)))))

    def wipe(self) -> None:
        """Leave an empty line, for something else to be said there."""
        if self._drawn:
            self._streams.err("\r\x1b[K")
            self._drawn = False

    def sentence(self, progress: Progress) -> str:
        """The line's text: stage, share, bytes, rate, time left, volume."""
        rate = self._rate(progress)
        parts = [progress.stage]
        if progress.total:
            parts.append(f"{min(100, progress.done * 100 // progress.total)}%")
        parts.append(f"{human(progress.done)} of {human(progress.total)}" if progress.total else human(progress.done))
        if progress.stored:
            parts.append(f"stored {human(progress.stored)}")
        if rate >= 1:
            parts.append(f"{human(int(rate))}/s")
            if progress.total > progress.done:
                parts.append(f"{clock((progress.total - progress.done) / rate)} left")
        # A narrow terminal cuts the end off: rather the name than the numbers.
        return "  ".join(filter(None, [*parts, printable(progress.subject)]))

    def _rate(self, progress: Progress) -> float:
        about = (progress.stage, progress.subject)
        if about != self._about:
            self._about = about
            self._marks.clear()
        now = self._now()
        self._marks.append((now, progress.done))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _MEMORY:
            self._marks.popleft()
        since, before = self._marks[0]
        return (progress.done - before) / (now - since) if now > since else 0.0

    def _draw(self, text: str) -> None:
        # One column stays free: a full last column makes some terminals wrap, and then \r comes back too low.
        self._streams.err(f"\r{text[: self._streams.width - 1]}\x1b[K")
        self._drawn = True
