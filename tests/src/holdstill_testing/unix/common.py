"""What the three have in common: how ``mount`` is asked to mount, how ``umount`` refuses, and who ``fuser`` sees."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Final

import attrs

from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal, System
from holdstill_testing.unix.texts import Text


@attrs.frozen
class Asked:
    """A ``mount`` command, taken apart."""

    kind: str = ""
    options: tuple[str, ...] = ()
    """Of the last ``-o`` alone: it is the only one that counts (mount_vxfs(1M), mount_ufs(8))."""
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> Asked:
        """What stands behind the command's name."""
        kind, options, names = "", [], []
        left = list(words)
        while left:
            match left.pop(0):
                case "-F" | "-v":
                    kind = left.pop(0)
                case "-r":
                    options = ["ro"]
                case "-o":
                    options = left.pop(0).split(",")
                case name:
                    names.append(name)
        return cls(kind, tuple(options), tuple(names))

    @property
    def wanted(self) -> str:
        """``ro``, ``rw``, or empty: as the table says."""
        return next((each for each in self.options if each in ("ro", "rw")), "")

    def entry(self, host: Host, unknown: Text) -> Mounted:
        """What is to be mounted: by both names and these options, or by what the host's table says of one name. Raises
        ``Refusal``.
        """
        if len(self.names) == 2:
            others = [each for each in self.options if each not in ("ro", "rw", "remount")]
            return Mounted(*self.names, self.kind, ",".join([self.wanted or "rw", *others]))
        named = (each for each in host.table if self.names[0] in (each.place, each.device))
        found = next(named, None)
        if found is None:
            raise Refusal(unknown, place=self.names[0])
        return attrs.evolve(found.with_option(self.wanted) if self.wanted else found)


class Unix(System):
    """The commands that differ in nothing but what they print."""

    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("umount", name):
                return self._unmount(host, name)
            case ("fuser", "-c", place):
                return fuser(host, place)
            case ("fuser", device):
                return fuser(host, device)
            case ("who", "-b"):
                return Answer(f"{STARTED.say()}\n")
            case ("ps", "-f", "-p", ids):
                rows = [PROCESS.say(pid=pid) for pid in ids.split(",")]
                return Answer("\n".join([_PS_HEAD, *rows, ""]))
        return self.own(host, argv)

    @abc.abstractmethod
    def own(self, host: Host, argv: Sequence[str]) -> Answer:
        """The commands that no other has."""

    def _unmount(self, host: Host, name: str) -> Answer:
        host.unmount(
            name,
            busy=lambda found: Refusal(self.texts["busy"], device=found.device, place=found.place),
            absent=lambda: Refusal(self.texts["absent"], place=name),
        )
        return Answer()

    def mount(self, host: Host, asked: Asked) -> Answer:
        """One that is not mounted. Raises ``Refusal``."""
        entry = asked.entry(host, self.texts["unknown"])
        if strange := [each for each in asked.options if each.startswith("dev=")]:
            raise Refusal(self.texts["option"], option=strange[0], device=entry.device)
        host.mount(entry, lambda: Refusal(self.texts["already"], device=entry.device, place=entry.place))
        return Answer()


def fuser(host: Host, name: str) -> Answer:
    """Process ids on standard output, everything else on standard error (POSIX.1, fuser)."""
    pids = sorted(host.users.get(name, ()))
    return Answer("".join(USERS.say(pid=pid) for pid in pids), f"{name}: {'c' * len(pids)}\n")


USERS: Final = Text(
    system="AIX, HP-UX, Solaris",
    when="fuser -c PLACE",
    template=" {pid}",
    source="POSIX.1-2017, fuser: process ids to standard output, names and letters to standard error",
)
STARTED: Final = Text(
    system="AIX, HP-UX, Solaris",
    when="who -b",
    template="   .        system boot  Nov 22 07:30",
    source="POSIX.1-2017, who: -b, the time and date of the last reboot",
)
_PS_HEAD: Final = "     UID     PID    PPID   C    STIME    TTY  TIME CMD"
PROCESS: Final = Text(
    system="AIX, HP-UX, Solaris",
    when="ps -f -p IDS",
    template="    root {pid:7}       1   0 13:22:01      -  0:00 /usr/sbin/program-{pid}",
    source="POSIX.1-2017, ps: -f shows UID, PID, PPID, C, STIME, TTY, TIME, CMD, under these headings",
)
