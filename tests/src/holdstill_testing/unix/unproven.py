"""The page of what is taken for so and was never seen: ``python -m holdstill_testing.unix.unproven`` prints it; with
``entries``, the list that ``holdstill providers --check`` goes through.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Final

from holdstill_testing.unix import aix, fssnap, hpux, jfs2_texts, solaris
from holdstill_testing.unix.texts import Text

TEXTS: Final = tuple(text for room in (aix, jfs2_texts, hpux, solaris, fssnap) for text in room.TEXTS.values())

_HEAD: Final = """\
# Unproven

No AIX, HP-UX or Solaris has run holdstill so far. What is built for them is tried against simulated hosts
(`holdstill_testing.unix`). What these print can partly be read in public documents, which their source cites. What
follows is recalled, and was not seen: nothing may rely on its exact words, and on each line stands what would settle
it. Where that changes something it is for a person to type, on a file system that nobody needs. What
anybody may type `holdstill providers --check` asks by itself. Written by `python -m holdstill_testing.unix.unproven`.

| system | when | taken to print | exit code | settled by | typed by |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"{row}\n" for row in _rows())


def _rows() -> Iterator[str]:
    for text in TEXTS:
        if text.recalled:
            who = "a person" if text.changes else "anybody"
            cells = (text.system, text.when, _code(text), str(text.code), f"`{text.settled_by}`", who)
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _code(text: Text) -> str:
    shown = " / ".join(line.strip() for line in text.template.splitlines() if line.strip())
    return f"`{shown}`"


def entries() -> str:
    """The same list for ``holdstill providers --check``: what is asked where nothing is changed by asking."""
    rows = [
        {
            "system": text.system,
            "when": text.when,
            "taken": text.template,
            "code": str(text.code),
            "asked": "" if text.changes else text.settled_by.removesuffix("; echo $?"),
            "by_hand": text.settled_by,
        }
        for text in TEXTS
        if text.recalled
    ]
    return json.dumps(rows, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(entries() if sys.argv[1:] == ["entries"] else page())
