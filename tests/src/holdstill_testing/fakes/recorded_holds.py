"""A journal in memory that remembers everything, asks questions at the right moment, and fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from holdstill.spi.holds import Hold, Holds


@attrs.define(eq=False)
class RecordedHold(Hold):
    """One line. ``owner`` is asked before each step, so that a failing journal fails here too."""

    kind: str
    data: dict[str, str]
    by_hand: str
    owner: RecordedHolds
    open: bool = True

    def update(self, **narrower: str) -> None:
        """Narrow it."""
        self.owner.step()
        self.data |= narrower

    def drop(self) -> None:
        """Cross it out."""
        self.owner.step()
        self.open = False


class RecordedHolds(Holds):
    """``lines`` is what was written. ``fail_at`` is the number of the step (from 1) that raises ``failure`` instead.

    ``before_hold`` is called when a line is about to be written, with its data.
    """

    def __init__(
        self,
        *,
        fail_at: int = 0,
        failure: BaseException | None = None,
        before_hold: Callable[[Mapping[str, str]], None] = lambda _: None,
    ) -> None:
        self.lines: list[RecordedHold] = []
        self.steps = 0
        self.fail_at = fail_at
        self.failure = failure or OSError("the journal cannot be written")
        self.before_hold = before_hold

    def hold(self, kind: str, data: Mapping[str, str], *, by_hand: str, version: int = 1) -> Hold:
        """Write a line."""
        self.before_hold(data)
        self.step()
        line = RecordedHold(kind, dict(data), by_hand, self)
        self.lines.append(line)
        return line

    def step(self) -> None:
        """Count one step, and fail if it is the one."""
        self.steps += 1
        if self.steps == self.fail_at:
            raise self.failure

    @property
    def open_lines(self) -> list[RecordedHold]:
        """What is not crossed out."""
        return [line for line in self.lines if line.open]
