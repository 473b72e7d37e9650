"""How long writers have given no sign of life, as far as this host has seen it. Which of them to fence is policy: it
costs a writer that lives one more beginning, and nobody an image.

No clock is trusted: between two looks at most half of the patience is counted, however much time seems to have passed,
and time that went backwards counts for nothing. So at least three looks are needed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs

from holdstill.repository.ledger import Begin

#: whoever is silent for so long is taken for dead, seconds
PATIENCE: Final = 7 * 86400.0


@attrs.frozen
class Silence:
    """What this host remembers of the undecided writers of one repository, in one file: a hint like all it keeps."""

    path: Path

    def look(self, undecided: Mapping[int, Begin], count_of: Callable[[int], int], now: float) -> list[int]:
        """The numbers that were silent for too long. ``count_of``: how many signs of life a writer has given; ``now``
        in seconds. A host of which a number was given up lately is left alone, so that a slow writer gets through.
        """
        was = self._read()
        passed = min(max(now - _number(was.get("last"), now), 0.0), PATIENCE / 2)
        known, spared = _map(was.get("writers")), _map(was.get("given_up"))
        given_up = {host: rest - passed for host, rest in spared.items() if _number(rest, 0.0) > passed}
        writers, silent = {}, []
        for number, begin in undecided.items():
            count, entry = count_of(number), _map(known.get(str(number)))
            same = entry.get("count") == count and entry.get("nonce") == begin.nonce
            seconds = _number(entry.get("seconds"), 0.0) + passed if same else 0.0
            writers[str(number)] = {"nonce": begin.nonce, "count": count, "seconds": seconds}
            if seconds >= PATIENCE and begin.host not in given_up:
                silent.append(number)
        given_up |= {undecided[number].host: PATIENCE for number in silent}
        self._write({"last": now, "writers": writers, "given_up": given_up})
        return silent

    def _read(self) -> dict[str, Any]:
        try:
            return _map(json.loads(self.path.read_text()))
        except (OSError, ValueError):
            return {}

    def _write(self, seen: dict[str, Any]) -> None:
        hidden = self.path.with_name(f"{self.path.name}-{secrets.token_hex(8)}")
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            hidden.write_text(json.dumps(seen))
            hidden.replace(self.path)


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise
