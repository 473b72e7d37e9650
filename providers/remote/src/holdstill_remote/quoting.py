"""Words for a shell, whichever the login shell over there is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from holdstill.errors import UsageError


def for_any_shell(word: str) -> str:
    """One word, the same in every POSIX shell and in csh.

    Between single quotes both take everything as it is, but for a quote itself, and csh for ``!`` (history) and a line
    feed; a backslash outside of the quotes takes care of the first two. Raises ``UsageError`` for a line feed.
    """
    if "\n" in word or "\0" in word:
        raise UsageError("a name with a line feed cannot be sent to another machine", subject=repr(word))
    return "'" + word.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def bourne(script: str) -> str:
    """What a login shell is told, so that ``/bin/sh`` runs the script."""
    return f"/bin/sh -c {for_any_shell(script)}"


def command(argv: Sequence[str]) -> str:
    """The words of a command for ``/bin/sh``."""
    return shlex.join(argv)
