"""A machine that is reached by ssh."""

from __future__ import annotations

import atexit
import threading
from typing import Final

from holdstill.errors import MachineUnreachable
from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill.spi.writer import Writer
from holdstill_remote import address, programs
from holdstill_remote.connection import LIMIT, Connection
from holdstill_remote.dd import Dd
from holdstill_remote.programs import SshRunner
from holdstill_remote.reader import SshReader
from holdstill_remote.writer import SshWriter

#: what uname says, and what ``sys.platform`` would; HP-UX ends in a number there, which nobody needs
_SYSTEMS: Final = {"linux": "linux", "aix": "aix", "hp-ux": "hp-ux11", "sunos": "sunos5"}
_reached: Final[dict[str, SshMachine]] = {}
_lock: Final = threading.Lock()


class SshMachine(Machine):
    """Its connection, and what was asked of it when it was reached."""

    def __init__(self, connection: Connection, local: Runner) -> None:
        """Ask it what it is. Raises ``MachineError`` and its kinds."""
        self.url = connection.url
        self.connection = connection
        self._local = local
        self.runner = self.runner_for("asking", local)
        ran = connection.run(local, f"uname -s; uname -n; {Dd.ASK}", limit=LIMIT)
        system, _, more = ran.out.partition("\n")
        name, _, dd = more.partition("\n")
        if not ran.ok or " " in system or not name:
            raise MachineUnreachable(
                f"it does not say what it is: {ran.said}",
                subject=self.url,
                next_step="let its login shell print nothing of its own when it runs a command",
            )
        self.system = _SYSTEMS.get(system.lower(), system.lower())
        self.name = name
        self._dd = Dd.said(dd)

    def runner_for(self, run: str, local: Runner) -> Runner:
        """See ``Machine``."""
        return SshRunner(self.connection, run, local)

    def at_work(self, run: str) -> str:
        """See ``Machine``."""
        return programs.at_work(self.connection, run, self._local)

    def open_reader(self, device: str, size: int) -> Reader:
        """See ``Machine``."""
        return SshReader(self.connection, self._local, self._dd, device, size)

    def open_writer(self, device: str, size: int) -> Writer:
        """See ``Machine``."""
        return SshWriter(self.connection, self._local, self._dd, device, size)


def reached(url: str, local: Runner) -> SshMachine:
    """The machine, its connection kept for whoever asks again. Raises ``UsageError``, ``MachineError`` and its
    kinds.
    """
    where = address.parse(url)
    with _lock:
        known = _reached.get(where.url)
        if known is not None:
            known.connection.open(local)
            return known
        connection = Connection(where)
        try:
            connection.open(local)
            machine = SshMachine(connection, local)
        except BaseException:
            connection.close(local)
            raise
        _reached[where.url] = machine
        atexit.register(connection.close, local)
        return machine
