"""Objects that nobody can delete before a date: what is locked, and for how long what is relied on stays so."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import attrs

from holdstill.errors import ObjectMissing, TargetError, TargetLocked, TargetUnfit, UsageError
from holdstill.repository.layout import CONFIG, IMAGES, LEDGER, LISTS, MARKS, PACKS
from holdstill.spi.target import Target

#: what images are made of. Segments, checks and copies of the ledger can be made anew; keys are to be removable
LOCKED: Final = (CONFIG, LEDGER, LISTS, PACKS, IMAGES, MARKS)
#: a lock of which less than this share is left is made as long as a new one
_LEAST: Final = 0.5
#: how long the object stays locked on which a target's promise is tried; more than clocks differ, and lines hang
_TRIAL: Final = dt.timedelta(minutes=30)
#: a century: more is a slip, and cannot be taken back
_LONGEST: Final = dt.timedelta(days=36_500)
_AT_ONCE: Final = 8


def check_span(span: dt.timedelta) -> int:
    """Whole seconds. Raises ``UsageError`` for a span for which nobody locks anything."""
    if not dt.timedelta(seconds=1) <= span <= _LONGEST:
        raise UsageError("objects are locked for one second to a hundred years", next_step="write it like 30d")
    return int(span.total_seconds())


def prove_locks(target: Target) -> None:
    """Lock an object of our own for a while, and try to delete it. Raises ``TargetUnfit`` if that succeeds.

    The object stays: that is the point of it.
    """
    key = f"probe/{secrets.token_hex(16)}"
    target.lock_new(_TRIAL, ("probe/",))
    try:
        target.put(key, [b"nobody deletes this for half an hour"])
        target.delete(key)
    except TargetLocked:
        return
    except TargetUnfit:
        raise
    except TargetError as error:
        if error.is_retryable:
            raise
        why = error.message
    else:
        why = "an object that was locked could be deleted"
    raise TargetUnfit(
        f"this target does not lock objects: {why}",
        subject=target.url,
        next_step="use a bucket of S3 that was made with object lock, or leave --lock-for out",
    )


@attrs.define
class Renewal:
    """Sees to it that what an image relies on stays locked for half the span at least, from its commit on."""

    _target: Target
    _span: dt.timedelta
    _ledger: Collection[str]
    """The keys of the ledger, and of what it names."""
    _now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    asked: int = 0
    """Objects whose lock was asked for: a request each."""
    extended: int = 0
    """Those whose lock was made longer: one more each."""

    def run(self, packs: Collection[str]) -> None:
        """For the packs of others that the image relies on, and for the ledger. Raises what the target raises."""
        self._each(packs)
        # Whoever extends the ledger extends the config after it: while that is long enough, all that is older is too.
        self.asked += 1
        if self._is_short(CONFIG):
            self._each(self._ledger)
            self._extend(CONFIG)

    def _each(self, keys: Collection[str]) -> None:
        self.asked += len(keys)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="holdstill-lock") as pool:
            for key, short in zip(keys, pool.map(self._is_short, keys), strict=True):
                if short:
                    self._extend(key)

    def _is_short(self, key: str) -> bool:
        """Is under half of its lock left? What is missing is not: others tell of that."""
        try:
            until = self._target.locked_until(key)
        except ObjectMissing:
            return False
        return until is None or until - self._now() < self._span * _LEAST

    def _extend(self, key: str) -> None:
        self._target.lock_longer(key, self._now() + self._span)
        self.extended += 1

    def cost(self) -> str:
        """What it took, in a sentence for the user."""
        return f"object locks: {self.asked} asked for, {self.extended} extended ({self.asked + self.extended} requests)"
