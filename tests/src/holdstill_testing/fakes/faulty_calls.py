"""An object whose methods fail, lie, or are where the run is killed, by the number of the call."""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NoReturn

import attrs


class Killed(BaseException):
    """The run is dead: nothing that it does has an effect any more."""


class Outcome(enum.StrEnum):
    """What becomes of a call."""

    FAILS = "fails"
    FAILS_AFTERWARDS = "fails-afterwards"
    """It was done, but the caller is told that it failed."""
    LIES = "lies"
    """It was not done, but the caller is told nothing."""
    KILLED_BEFORE = "killed-before"
    KILLED_AFTER = "killed-after"


@attrs.frozen
class PlannedOutcome:
    """One fault: at the ``at``-th call (from 1). ``number`` is the errno of a failure."""

    at: int
    outcome: Outcome
    number: int = errno.EIO
    stays: bool = False
    """So does every later call that nothing else is planned for."""


class FaultyCalls:
    """What is behind it, but for what is planned for its ``changes``, the methods that count.

    Once the run is ``dead``, every method raises ``Killed``.
    """

    def __init__(self, real: object, changes: Collection[str], planned: Iterable[PlannedOutcome]) -> None:
        self.real = real
        self.changes = changes
        self.planned = {each.at: each for each in planned}
        self.calls = 0
        self.dead = False

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self.real, name)
        if name in self.changes:
            return lambda *given, **named: self._change(method, given, named)
        return self.die if self.dead else method

    def die(self, *_given: object, **_named: object) -> NoReturn:
        """The run is killed here, if it was not before."""
        self.dead = True
        raise Killed

    def _change(self, method: Callable[..., object], given: tuple[object, ...], named: Mapping[str, object]) -> object:
        if self.dead:
            raise Killed
        self.calls += 1
        lasting = next((each for each in self.planned.values() if each.stays and each.at <= self.calls), None)
        plan = self.planned.get(self.calls, lasting)
        if plan is None:
            return method(*given, **named)
        if plan.outcome is Outcome.LIES:
            return None
        if plan.outcome in (Outcome.FAILS_AFTERWARDS, Outcome.KILLED_AFTER):
            method(*given, **named)
        if plan.outcome in (Outcome.KILLED_BEFORE, Outcome.KILLED_AFTER):
            self.die()
        raise OSError(plan.number, "planned")
