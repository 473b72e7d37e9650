"""How plugins start programs. The engine brings it; a plugin starts none by itself."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import IO

import attrs

from holdstill.errors import PluginError


@attrs.frozen
class Ran:
    """A program that has ended, or was ended."""

    argv: tuple[str, ...]
    code: int
    """Its exit code; minus the signal that ended it; 127 if it could not be started, and ``err`` says why."""
    out: str
    err: str
    """Each at most 1 MiB of it; what is no UTF-8 is escaped."""
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Exit code 0, in time."""
        return self.code == 0 and not self.timed_out

    @property
    def said(self) -> str:
        """What went wrong, in a few words: its last line on standard error, else its exit code."""
        if self.timed_out:
            return "took too long and was ended"
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].strip()[:500] if lines else f"ended with exit code {self.code}"


class Flow(abc.ABC):
    """A program that bytes flow into and out of. Whoever started it closes it."""

    into: IO[bytes]
    """Its standard input, unbuffered. Closing it is the end of what it reads."""
    out: IO[bytes]
    """Its standard output, unbuffered."""

    @abc.abstractmethod
    def close(self) -> str:
        """End it, with its process group, unless it has ended. What it said on standard error, at most 1 MiB. May be
        called twice.
        """


class Runner(abc.ABC):
    """Starts programs, in the language C, without a shell, in a process group of their own, with nothing of ours open.

    Their output goes to files and never to pipes: with the reader dead a program dies of SIGPIPE half-way. The run's
    name is in the environment (``HOLDSTILL_RUN``), so that ``recover`` can wait for what a killed run left running.
    """

    @abc.abstractmethod
    def ask(self, argv: Sequence[str], *, limit: float) -> Ran:
        """Run what changes nothing. After ``limit`` seconds it is killed, with its whole process group."""

    @abc.abstractmethod
    def change(self, argv: Sequence[str]) -> Ran:
        """Run what changes storage. It is never killed: what takes long is told, and waited for. An interruption is
        raised only after it has ended.
        """

    def stream(self, argv: Sequence[str]) -> Flow:
        """Start a program that moves bytes. Raises ``PluginError`` where none can be started."""
        raise PluginError("no program that moves bytes can be started here", subject=argv[0])


class NoRunner(Runner):
    """For who needs no programs."""

    def ask(self, argv: Sequence[str], *, limit: float) -> Ran:
        """Raises ``PluginError``."""
        raise PluginError("no program can be started here", subject=argv[0])

    def change(self, argv: Sequence[str]) -> Ran:
        """Raises ``PluginError``."""
        raise PluginError("no program can be started here", subject=argv[0])
