"""Another machine that is none: its devices are bytes in memory."""

from __future__ import annotations

from collections.abc import Sequence

from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.runner import NoRunner, Ran, Runner
from holdstill.spi.writer import Writer
from holdstill_testing.fakes.memory_volume import MemoryVolume


class MemoryMachine(Machine):
    """``volumes`` are its devices, by name; ``working`` is what it says of every run."""

    def __init__(
        self, url: str, system: str, volumes: dict[str, MemoryVolume] | None = None, working: str = ""
    ) -> None:
        self.url, self.system, self.name = url, system, url.partition("://")[2]
        self.runner: Runner = _NoPrograms()
        self.runs: list[str] = []
        self.working = working
        self._volumes = volumes or {}

    def runner_for(self, run: str, local: Runner) -> Runner:
        """One that starts nothing; the run is noted."""
        self.runs.append(run)
        return self.runner

    def at_work(self, run: str) -> str:
        """As it was told."""
        return self.working

    def open_reader(self, device: str, size: int) -> Reader:
        """The bytes."""
        return self._volumes[device].open_reader(exclusive=False)

    def open_writer(self, device: str, size: int) -> Writer:
        """The bytes."""
        return self._volumes[device].open_writer()


class _NoPrograms(NoRunner):
    def ask(self, argv: Sequence[str], *, limit: float) -> Ran:
        """There is no such program."""
        return Ran(tuple(argv), 127, "", f"{argv[0]}: not found")
