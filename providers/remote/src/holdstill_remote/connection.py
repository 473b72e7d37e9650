"""One connection to a machine, which everything that is done there shares."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import HoldstillError, MachineUnreachable
from holdstill.spi.runner import Flow, Ran, Runner
from holdstill_remote.address import Address
from holdstill_remote.quoting import bourne
from holdstill_remote.refusals import of_ssh

#: another configuration of ssh than the user's own
CONFIG: Final = "HOLDSTILL_SSH_CONFIG"
#: what ``ssh`` ends with when it is the connection that failed (ssh(1), EXIT STATUS); a program may, too
_OWN: Final = 255
#: seconds for what only asks how things are
LIMIT: Final = 120.0
_OPTIONS: Final = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "30",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "LogLevel": "INFO",
}


class Connection:
    """A connection that a process in the background keeps (``ControlMaster``); it ends a minute after its last use.

    Whoever comes when it has ended makes one of his own: the same, only slower.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._folder = Path(tempfile.mkdtemp(prefix="hs-", dir="/tmp"))  # a socket's path must be short

    def close(self, local: Runner) -> None:
        """End it. Never raises."""
        with contextlib.suppress(HoldstillError):
            local.ask([*self._ssh("no"), "-O", "exit", *self.address.words], limit=10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, local: Runner) -> None:
        """Make it, if it is not there. Raises ``MachineError`` and its kinds."""
        check = local.ask([*self._ssh("no"), "-O", "check", *self.address.words], limit=30)
        if check.ok:
            return
        options = ["-o", "ControlPersist=60"]
        ran = local.ask([*self._ssh("auto"), *options, *self.address.words, bourne("exit 0")], limit=LIMIT)
        if ran.code == 127 and not shutil.which("ssh"):
            raise MachineUnreachable("there is no program ssh here", subject=self.url, next_step="install OpenSSH")
        if ran.code == _OWN or ran.timed_out:
            raise of_ssh(self.url, "Connection timed out" if ran.timed_out else ran.err)
        if not ran.ok:
            raise MachineUnreachable(
                f"its login shell cannot start /bin/sh: {ran.said}",
                subject=self.url,
                next_step="give the user a login shell that runs commands",
            )

    @property
    def url(self) -> str:
        """Of the machine."""
        return self.address.url

    def words(self, there: str) -> list[str]:
        """The command that has the login shell over there run ``there``."""
        return [*self._ssh("no"), *self.address.words, there]

    def run(self, local: Runner, script: str, *, limit: float | None) -> Ran:
        """Have ``/bin/sh`` run a script whose end is told, so that its failure and ours are two things; ``limit`` None:
        it is waited for. Raises ``MachineError`` and its kinds if nobody knows how it ended.
        """
        token = secrets.token_hex(8)
        words = self.words(bourne(f"{script}; c=$?; echo {token} $c >&2; exit $c"))
        ran = local.change(words) if limit is None else local.ask(words, limit=limit)
        before, mark, after = ran.err.rpartition(f"{token} ")
        if not mark and not ran.timed_out:
            raise of_ssh(self.url, ran.err)
        return attrs.evolve(ran, err=before if mark else after)

    def stream(self, local: Runner, there: str) -> Flow:
        """Have the login shell over there run something that moves bytes."""
        return local.stream(self.words(there))

    def lost(self, flow: Flow) -> HoldstillError:
        """The error for a flow that ended before its time."""
        return of_ssh(self.url, flow.close())

    def _ssh(self, master: str) -> list[str]:
        own = os.environ.get(CONFIG)
        options = {**_OPTIONS, "ControlMaster": master, "ControlPath": f"{self._folder}/s"}
        return [
            "ssh",
            *(["-F", own] if own else []),
            "-T",
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        ]
