"""Programs of another machine, started there as the engine starts those of its own."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from typing import Final

import attrs

from holdstill.errors import MachineError, MachineLost
from holdstill.spi.runner import Ran, Runner
from holdstill_remote.connection import LIMIT, Connection
from holdstill_remote.quoting import command

#: where the programs of administrators are, which a login that is none does not look for
_PATH: Final = "PATH=$PATH:/usr/sbin:/sbin:/etc"
#: what changes storage leaves this over there while it works: its process, its name, and what it says
_TRACE: Final = "/tmp/.holdstill"  # noqa: S108  # made by mkdir, which takes nothing that is there


@attrs.frozen
class SshRunner(Runner):
    """Programs of one run. ``local`` starts ``ssh``, and so minds time limits and those who wait."""

    connection: Connection
    run: str
    local: Runner
    _lost: threading.Event = attrs.field(factory=threading.Event, init=False, eq=False)
    """Did the connection end in a change? It may be at work still, and whoever looked would see what is not to last."""

    def ask(self, argv: Sequence[str], *, limit: float) -> Ran:
        """See ``Runner``. What takes too long is given up here; over there it may go on, changing nothing. Raises
        ``MachineLost`` also while a change of this run, whose connection has ended, is still at work.
        """
        self._refuse_while_at_work()
        script = f"{self._surroundings}; {command(argv)} </dev/null"
        return attrs.evolve(self.connection.run(self.local, script, limit=limit), argv=tuple(argv))

    def change(self, argv: Sequence[str]) -> Ran:
        """See ``Runner``. It goes on if the connection ends, and leaves a trace for ``at_work``. Raises
        ``MachineLost``: nobody knows whether it was done.
        """
        self._refuse_while_at_work()
        trace = f"{_TRACE}-{self.run}-{secrets.token_hex(4)}"
        script = (
            f"d={trace}; trap '' 1; umask 077; mkdir $d && {{ echo $$ >$d/p; echo {command(argv[:1])} >$d/w; "
            f"{self._surroundings}; {command(argv)} </dev/null >$d/o 2>$d/e; c=$?; "
            f"cat $d/o; cat $d/e >&2; rm -rf $d; (exit $c); }}"
        )
        try:
            ran = self.connection.run(self.local, script, limit=None)
        except MachineError:
            self._lost.set()
            raise
        return attrs.evolve(ran, argv=tuple(argv))

    def _refuse_while_at_work(self) -> None:
        if not self._lost.is_set():
            return
        if working := at_work(self.connection, self.run, self.local):
            raise MachineLost(
                f"{working}, whose connection ended, is still at work",
                subject=self.connection.url,
                next_step="when that has ended, `holdstill recover` looks after what is held there",
            )
        self._lost.clear()

    @property
    def _surroundings(self) -> str:
        said = f"{_PATH}; LC_ALL=C; LANGUAGE=C; HOLDSTILL_RUN={command([self.run])}"
        return f"{said}; export PATH LC_ALL LANGUAGE HOLDSTILL_RUN; cd /"


def at_work(connection: Connection, run: str, local: Runner) -> str:
    """Which programs of a run still change something there; the traces of those that do not are cleared away. A process
    that can be seen and of which nothing more can be asked counts as one.
    """
    script = (
        f"for d in {_TRACE}-{command([run])}-*; do test -f $d/p || continue; p=`cat $d/p`; a=gone; "
        "kill -0 $p 2>/dev/null && a=`ps -p $p -o args= 2>/dev/null`; "
        'case "$a" in ""|*$d*) echo `cat $d/w` as process $p;; *) rm -rf $d;; esac; done; true'
    )
    ran = connection.run(local, script, limit=LIMIT)
    return ", ".join(ran.out.splitlines()) if ran.ok else f"something ({ran.said})"
