"""Which lines of a dsm.sys hold: those of one server's stanza.

A stanza begins at ``SErvername`` and ends at the next or with the file. dsm.opt names it, else ``DEFAULTServer`` above
the stanzas, else it is the first.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from holdstill.errors import UsageError
from holdstill.preferences.tsm.lines import Line
from holdstill.preferences.tsm.options import find


@attrs.frozen
class Chosen:
    """The lines of one stanza, and those that stand outside of all and have no effect."""

    lines: list[Line]
    outside: list[Line]


def choose(lines: list[Line], file: Path, server: Line | None) -> Chosen:
    """The stanza that ``server``, the line of dsm.opt, names. Raises ``UsageError`` if there is none of that name."""
    outside: list[Line] = []
    stanzas: dict[str, list[Line]] = {}
    here = outside
    for line in lines:
        if named(line) == "servername":
            here = []
            stanzas.setdefault(line.value.lower(), here)
        else:
            here.append(line)
    named_there = server or next((line for line in outside if named(line) == "defaultserver"), None)
    outside = [line for line in outside if named(line) != "defaultserver"]
    if named_there is None:
        return Chosen(next(iter(stanzas.values()), []), outside)
    stanza = stanzas.get(named_there.value.lower())
    if stanza is None:
        raise UsageError(
            f"there is no server {named_there.value!r} in {file}",
            subject=named_there.place,
            next_step=f"name one of these: {', '.join(stanzas)}" if stanzas else "begin a stanza with SErvername",
        )
    return Chosen(stanza, outside)


def named(line: Line) -> str:
    """The full name of its option, if it is one we know."""
    option = find(line.name)
    return option.name if option else line.name
