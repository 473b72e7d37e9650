"""When the host was started, so that what a run held before that is known to be over."""

from __future__ import annotations

import re
from typing import Final

from holdstill.spi.runner import Runner

_COMMAND: Final = ("who", "-b")
_SAID: Final = re.compile(r"system boot\s+(\S.*)")
_LIMIT: Final = 60.0


def boot(runner: Runner) -> str:
    """When, in the words of ``who -b`` (POSIX.1-2017, who), to be compared and nothing else; empty where it does not
    say.
    """
    ran = runner.ask(_COMMAND, limit=_LIMIT)
    match = _SAID.search(ran.out)
    return " ".join(match[1].split()) if ran.ok and match else ""


def started_again(then: str, runner: Runner) -> bool:
    """Was the host started since ``then``, for sure?"""
    now = boot(runner)
    return bool(then and now) and then != now
