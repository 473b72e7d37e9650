"""Several volumes, all held before the first byte of any of them is read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import attrs

from holdstill.errors import Cancelled, HoldstillError, VolumeUnusable
from holdstill.model.results import BackupResult
from holdstill.model.volume import Mode
from holdstill.pipeline.backup import Backup
from holdstill.spi.still import Still

#: these would be over before the others are held, or are no instant at all
_ALONE: Final = (Mode.FREEZE, Mode.DYNAMIC)


class Together:
    """One backup inside the other: each begins when the one before is held, and reads when the one after is done."""

    def __init__(self, backups: Sequence[Backup]) -> None:
        self._backups = backups
        self._answers: list[BackupResult | HoldstillError] = []
        self._began = 0.0
        self._spread = 0.0
        self._all_held = False

    def run(self) -> list[BackupResult | HoldstillError]:
        """The results, in order; an error in place of one that failed when all were held."""
        self._began = time.monotonic()
        self._from(0)
        return self._answers[::-1]

    def _from(self, number: int) -> None:
        if number == len(self._backups):
            self._all_held = True
            self._spread = time.monotonic() - self._began
            return

        def held(still: Still) -> tuple[str, ...]:
            if still.mode in _ALONE:
                raise VolumeUnusable(
                    f"it is held by {still.mode.value}, and cannot be held together with others",
                    subject=self._backups[number].request.volume,
                    next_step="choose another mode, or leave out --together",
                )
            self._from(number + 1)
            return (f"one of {len(self._backups)} held together, at most {self._spread:.1f} s apart",)

        answer: BackupResult | HoldstillError
        try:
            answer = attrs.evolve(self._backups[number], once_held=held).run()
        except Cancelled:
            raise
        except HoldstillError as fault:
            if not self._all_held:
                raise
            answer = fault
        self._answers.append(answer)
