"""Ctrl-C, a polite kill, a terminal that went away: remembered, so that a job can end in good order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from holdstill.errors import ExitCode

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Remembers that one of these signals came, and raises ``KeyboardInterrupt`` where a stop may be sudden.

    A job asks ``came`` many times a second, releases what it holds, and ends; ending it anywhere else could leave a
    snapshot behind. What holds nothing may stop where it is. And once the command is on its way out, further signals
    change nothing any more.
    """

    def __init__(self) -> None:
        self.came = False
        self._number = signal.SIGINT
        self._patient = True

    def watch(self) -> None:
        """Take the signals over, for the rest of the process."""
        for number in _SIGNALS:
            # Ignored before we began means that somebody wants it so: nohup, or a shell's background job.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._signalled)

    @property
    def exit_code(self) -> ExitCode:
        """130 for Ctrl-C, 143 for the others."""
        return ExitCode.INTERRUPTED if self._number == signal.SIGINT else ExitCode.TERMINATED

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Inside, a signal is remembered and nothing more."""
        yield from self._with_patience(patient=True)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal raises ``KeyboardInterrupt``: for what holds nothing, and for waiting at a prompt."""
        yield from self._with_patience(patient=False)

    def _with_patience(self, *, patient: bool) -> Iterator[None]:
        before, self._patient = self._patient, patient
        try:
            yield
        finally:
            self._patient = before

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if not self.came:
            self.came = True
            self._number = signal.Signals(number)
        if not self._patient:
            raise KeyboardInterrupt
