"""Asking a system by its own commands, and refusing to guess at what it answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.runner import Ran, Runner

#: no question about one volume takes longer on a host that is well, seconds
LIMIT: Final = 60.0
#: so much of an answer that is not understood is shown
_SHOWN: Final = 1500
#: so many users of a volume are named
_NAMED: Final = 20


@attrs.frozen
class Asking:
    """Whom to ask: a runner, of this host or of another."""

    runner: Runner

    def text(self, *argv: str) -> str:
        """What a command prints. Raises ``VolumeUnusable`` with what it said when it fails or takes too long."""
        ran = self.runner.ask(argv, limit=LIMIT)
        if not ran.ok:
            raise VolumeUnusable(f"`{' '.join(argv)}` failed: {ran.said}", next_step="find out why, then try again")
        return ran.out

    def users(self, *argv: str) -> tuple[str, ...]:
        """The processes that a ``fuser`` command names (POSIX.1-2017, fuser: their ids alone on standard output), in
        words. How it ends when nobody is there differs. Raises ``VolumeUnusable`` if it could not be asked.
        """
        ran = self.runner.ask(argv, limit=LIMIT)
        if ran.timed_out or ran.code in (126, 127):
            raise VolumeUnusable(f"who uses it cannot be found out: `{' '.join(argv)}`: {ran.said}")
        ids = re.findall(r"\d+", ran.out)
        commands = self._commands(ids[:_NAMED]) if ids else {}
        named = [f"process {each}" + (f" ({commands[each]})" if each in commands else "") for each in ids[:_NAMED]]
        return (*named, f"{len(ids) - _NAMED} more") if len(ids) > _NAMED else tuple(named)

    def _commands(self, ids: Sequence[str]) -> dict[str, str]:
        """Of each process, as far as ``ps -f`` (POSIX.1-2017, ps) shows a table with such headings."""
        ran = self.runner.ask(("ps", "-f", "-p", ",".join(ids)), limit=LIMIT)
        head, *rows = ran.out.splitlines() or [""]
        at = max(head.find("CMD"), head.find("COMMAND"))
        words = head.split()
        if at < 0 or "PID" not in words:
            return {}
        place = words.index("PID")
        found = {row.split()[place]: row[at:].strip()[:80] for row in rows if len(row.split()) > place}
        return {each: found[each] for each in ids if found.get(each)}


def not_understood(argv: Sequence[str] | Ran, text: str, why: str) -> NoReturn:
    """Raise ``VolumeUnusable`` with the whole answer: nothing is guessed from text of an unknown shape."""
    command = " ".join(argv.argv if isinstance(argv, Ran) else argv)
    shown = text[:_SHOWN] + (" ..." if len(text) > _SHOWN else "")
    raise VolumeUnusable(
        f"what `{command}` prints is not understood: {why}; it printed: {shown!r}",
        next_step="send us that text with the release of the system; nothing was touched",
    )
