"""What the three have in common: how ``mount`` is asked to mount, and ``fuser`` who is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal
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
        """What is to be mounted: by both names, or by what the host's table says of one. Raises ``Refusal``."""
        if len(self.names) == 2:
            found = Mounted(self.names[0], self.names[1], self.kind)
        else:
            named = (each for each in host.table if self.names[0] in (each.place, each.device))
            found_or_none = next(named, None)
            if found_or_none is None:
                raise Refusal(unknown, place=self.names[0])
            found = attrs.evolve(found_or_none)
        return found.with_option(self.wanted) if self.wanted else found


def fuser(host: Host, place: str) -> Answer:
    """Process ids on standard output, everything else on standard error (POSIX.1, fuser)."""
    pids = sorted(host.users.get(place, ()))
    return Answer("".join(USERS.say(pid=pid) for pid in pids), f"{place}: {'c' * len(pids)}\n")


USERS: Final = Text(
    system="AIX, HP-UX, Solaris",
    when="fuser -c PLACE",
    template=" {pid}",
    source="POSIX.1-2017, fuser: process ids to standard output, names and letters to standard error",
)
