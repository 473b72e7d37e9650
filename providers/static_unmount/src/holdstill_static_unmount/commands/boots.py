"""When the host was started, so that what a run held before that is known to be over."""

from __future__ import annotations

import re
from typing import Final

from holdstill.spi.runner import Runner

_COMMAND: Final = ("who", "-b")
#: Linux has a name for each start (random(4)); its ``who -b`` may say nothing, or a time reckoned back from now, which
#: moves with the clock
_NAMED: Final = ("cat", "/proc/sys/kernel/random/boot_id")
_SAID: Final = re.compile(r"system boot\s+(\S.*)")
_LIMIT: Final = 60.0


def boot(runner: Runner, system: str) -> str:
    """Which start this is, by its name or in the words of ``who -b`` (POSIX.1-2017, who), to be compared and nothing
    else; empty where it does not say.
    """
    if system == "Linux":
        named = runner.ask(_NAMED, limit=_LIMIT)
        return named.out.strip() if named.ok else ""
    ran = runner.ask(_COMMAND, limit=_LIMIT)
    match = _SAID.search(ran.out)
    return " ".join(match[1].split()) if ran.ok and match else ""


def started_again(then: str, runner: Runner, system: str) -> bool:
    """Was the host started since ``then``, for sure?"""
    now = boot(runner, system)
    return bool(then and now) and then != now
