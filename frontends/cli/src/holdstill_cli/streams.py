"""Standard input, output and error, and what may go wrong with them."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import suppress
from typing import TextIO


class ReaderGone(Exception):
    """Nobody reads our standard output any more (``holdstill images | head -1``). Not worth a word."""


class Streams:
    """The three streams of the command.

    What a user asked for goes to standard output, and failing to write it is an error. Everything said beside it goes
    to standard error, and failing to say it stops nothing: a backup must not die with the terminal it was started in.
    """

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                # Names are bytes; what the terminal's encoding cannot say is escaped, never a UnicodeEncodeError.
                stream.reconfigure(errors="backslashreplace")

    @staticmethod
    def out(text: str) -> None:
        """Write to standard output. Raises ``ReaderGone`` for a broken pipe, OSError for the rest (a full disk)."""
        try:
            sys.stdout.write(text)
        except BrokenPipeError as fault:
            raise ReaderGone from fault

    def flush(self) -> None:
        """Hand what was written to the system; raises as ``out`` does."""
        try:
            sys.stdout.flush()
        except BrokenPipeError as fault:
            raise ReaderGone from fault

    def err(self, text: str) -> None:
        """Write to standard error, if anybody is there."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()

    def answer(self) -> str:
        """One line of standard input; empty at its end."""
        return sys.stdin.readline()

    def hidden_answer(self, prompt: str) -> str:
        """One line that is typed at the terminal and not shown there; empty at its end."""
        try:
            return getpass.getpass(prompt)
        except EOFError:
            return ""

    @property
    def someone_answers(self) -> bool:
        """Is there a person at standard input?"""
        return _is_terminal(sys.stdin)

    @property
    def someone_watches(self) -> bool:
        """Is standard error a terminal that can move its cursor back?"""
        return _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        """Columns of that terminal."""
        with suppress(OSError, ValueError):
            return os.get_terminal_size(sys.stderr.fileno()).columns or 80
        return 80

    def close(self) -> None:
        """Keep the interpreter from flushing, at its end, into a pipe that nobody reads or a disk that is full."""
        try:
            sys.stdout.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False
