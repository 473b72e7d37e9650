"""Another machine that a volume is on, driven from this one."""

from __future__ import annotations

import abc

from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill.spi.writer import Writer


class Machine(abc.ABC):
    """What the hook ``reach`` hands back. It has programs and devices, and neither Python nor anything of ours.

    Whatever is asked of it raises ``MachineLost`` if the connection ends before the answer is here: then nobody knows
    whether it was done. It is never told as a failure of the program, nor as a ``ReadFault``, which may be zeros in an
    image.
    """

    url: str
    """Reaches it again: ``ssh://root@host:22``, without the path of a volume and without secrets."""
    name: str
    """What it calls itself; the host of its images."""
    system: str
    """Its operating system, as ``sys.platform`` would say it there: ``linux``, ``aix``, ``hp-ux11``, ``sunos5``."""
    runner: Runner
    """For what changes nothing and belongs to no run."""

    @abc.abstractmethod
    def runner_for(self, run: str, local: Runner) -> Runner:
        """Its programs, for one run. ``local`` starts what it takes here to reach them, and says when to give up."""

    @abc.abstractmethod
    def at_work(self, run: str) -> str:
        """What of a run that is dead still changes something there, in words; empty: nothing does."""

    @abc.abstractmethod
    def open_reader(self, device: str, size: int) -> Reader:
        """Read a device, raw where the system tells the two apart, that has ``size`` bytes. Nobody is kept from
        writing to it. Raises ``VolumeError`` and its kinds, also where its end is not at ``size``.
        """

    @abc.abstractmethod
    def open_writer(self, device: str, size: int) -> Writer:
        """Write a device of ``size`` bytes. That nobody else has it is the caller's to see to."""
