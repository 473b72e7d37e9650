"""``holdstill target check``: a target's promises, really tried.

Everything happens under keys ``probe/<random>/...``, which are removed afterwards. A target that breaks a promise, in
whatever way, is *reported*: only what ends the whole program (an interrupt) comes out of ``try_target``.
"""

from __future__ import annotations

import enum
import itertools
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

import attrs

from holdstill.errors import ObjectMissing, TargetError, TargetUnfit
from holdstill.spi.target import KEY, Target, TargetProperties

#: races are run this often; a target that looks before it puts loses one of them sooner or later
_RACES: Final = 25
_RACERS: Final = 4
_OVERWRITES: Final = 25
_LARGE: Final = (8 << 20) + 13


class Outcome(enum.StrEnum):
    """How one trial ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@attrs.frozen
class Trial:
    """One promise, and what came of it. ``detail`` is a sentence for the user."""

    name: str
    promise: str
    outcome: Outcome
    detail: str = ""


@attrs.frozen
class TargetReport:
    """What a target states, and what was seen."""

    url: str
    properties: TargetProperties
    trials: tuple[Trial, ...]

    @property
    def kept(self) -> bool:
        """Was every promise kept that could be tried?"""
        return all(trial.outcome is not Outcome.FAILED for trial in self.trials)


class _BrokenError(Exception):
    """The promise was not kept."""


class _UntriedError(Exception):
    """The promise was not made, or cannot be tried."""


class _Bench:
    """The target, and the keys that the trials used."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.folder = f"probe/{secrets.token_hex(16)}"
        self.used: set[str] = set()
        self._names = (f"n{number}" for number in itertools.count())

    def key(self, name: str | None = None) -> str:
        """A key that was never used."""
        key = f"{self.folder}/{name or next(self._names)}"
        self.used.add(key)
        return key

    def together(self, *actions: Callable[[], object]) -> list[object]:
        """Run the actions in threads that start at once; their results, in order."""
        start = threading.Barrier(len(actions))

        def run(action: Callable[[], object]) -> object:
            start.wait()
            return action()

        with ThreadPoolExecutor(len(actions)) as pool:
            futures: list[Future[object]] = [pool.submit(run, action) for action in actions]
        return [future.result() for future in futures]

    def must_be_missing(self, key: str, when: str) -> None:
        """Every way of asking must say that there is no such object."""
        target = self.target
        for verb, ask in (
            ("get", target.get),
            ("size", target.size),
            ("get_range", lambda k: target.get_range(k, 0, 1)),
        ):
            try:
                ask(key)
            except ObjectMissing:
                continue
            except TargetError as error:
                raise _BrokenError(f"{verb} {when} raised {type(error).__name__} instead of ObjectMissing") from error
            raise _BrokenError(f"{verb} {when} found something")

    def clean(self) -> str:
        """Remove everything again."""
        failed: list[Exception] = []
        for key in sorted(self.used):
            try:
                self.target.delete(key)
            except Exception as error:  # noqa: BLE001  # one that cannot be removed must not keep the others
                failed.append(error)
        if failed:
            raise failed[0]
        left = [row.key for row in self.target.list(f"{self.folder}/")] if self.target.properties.fresh_listings else []
        _demand(not left, f"{len(left)} objects are still listed, such as {left[:1]}")
        return f"{len(self.used)} keys under {self.folder}/"


def _demand(kept: bool, otherwise: str) -> None:  # noqa: FBT001  # it is what is demanded
    if not kept:
        raise _BrokenError(otherwise)


def _second_create(bench: _Bench) -> str:
    key, target = bench.key(), bench.target
    if not target.properties.put_if_absent:
        try:
            target.put_if_absent(key, [b"x"])
        except TargetUnfit:
            raise _UntriedError("this target does not claim it: a repository on it has a single writer") from None
        raise _BrokenError("it does not claim exclusive creates, but imitates them")
    _demand(target.put_if_absent(key, [b"first"]) is True, "the first create of a fresh key was refused")
    _demand(target.put_if_absent(key, [b"second"]) is False, "the second create of one key was granted")
    _demand(target.get(key) == b"first", "the second create changed the object")
    return "the second of two creates was refused"


def _race(bench: _Bench) -> str:
    target = bench.target
    if not target.properties.put_if_absent:
        raise _UntriedError("not claimed")
    for _ in range(_RACES):
        key = bench.key()
        bids = [f"{racer}:".encode() + secrets.token_bytes(2000) for racer in range(_RACERS)]
        won = bench.together(*(partial(target.put_if_absent, key, [bid]) for bid in bids))
        winners = [bid for bid, win in zip(bids, won, strict=True) if win]
        _demand(len(winners) == 1, f"{len(winners)} of {_RACERS} racing creates were told that they won")
        _demand(target.get(key) == winners[0], "the object is not what the winner of the race wrote")
    return f"one winner in each of {_RACES} races of {_RACERS}"


def _read_after_write(bench: _Bench) -> str:
    for length in (0, 1, 4096, 100_000):
        key, whole = bench.key(), secrets.token_bytes(length)
        bench.must_be_missing(key, "before the put")
        bench.target.put(key, [whole[:7], bytearray(whole[7:7]), memoryview(whole)[7:]])
        _demand(bench.target.get(key) == whole, f"get returned other bytes than the {length} that were put")
        _demand(bench.target.size(key) == length, f"size is {bench.target.size(key)}, not {length}")
    return "also after a 'not found'"


def _overwrite(bench: _Bench) -> str:
    key, target = bench.key(), bench.target
    versions = [bytes([65 + number]) * (50_000 + 7000 * number) for number in range(8)]
    target.put(key, [versions[0]])
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(_OVERWRITES):
                version = versions[number % len(versions)]
                target.put(key, [version])
                _demand(target.get(key) == version, "a put that was acknowledged was not visible")
        finally:
            done.set()

    def read() -> int:
        looks = 0
        while not done.is_set():
            _demand(target.get(key) in versions, "a reader saw an object that is neither the old nor the new one")
            looks += 1
        return looks

    _, looks = bench.together(write, read)
    return f"{_OVERWRITES} overwrites, {looks} reads meanwhile"


def _ranges(bench: _Bench) -> str:
    key, whole, target = bench.key(), secrets.token_bytes(100_000), bench.target
    target.put(key, [whole])
    for offset, length in ((0, 100_000), (0, 1), (4095, 4098), (99_999, 1), (50_000, 50_000), (100_000, 0)):
        part = target.get_range(key, offset, length)
        _demand(
            part == whole[offset : offset + length], f"{length} bytes from {offset} on were not those of the object"
        )
    for offset, length in ((99_999, 2), (100_000, 1), (0, 100_001), (1 << 40, 1)):
        try:
            got = target.get_range(key, offset, length)
        except ObjectMissing as error:
            raise _BrokenError("a range past the end was answered with 'no such object'") from error
        except TargetError:
            continue
        raise _BrokenError(
            f"{length} bytes from {offset} on of 100000 were answered with {len(got)} bytes, not refused"
        )
    return "whole, middle, last byte; past the end is refused"


def _missing(bench: _Bench) -> str:
    key = bench.key()
    bench.must_be_missing(key, "of an object that never was")
    bench.target.delete(key)
    return "get, get_range and size say so; delete does not mind"


def _delete(bench: _Bench) -> str:
    key = bench.key()
    for content in (b"one", b"two"):
        bench.target.put(key, [content])
        _demand(bench.target.get(key) == content, "an object that was put again after its deletion is not there")
        bench.target.delete(key)
        bench.must_be_missing(key, "after delete")
    return "and the key may be used again"


def _listing(bench: _Bench) -> str:
    target, folder = bench.target, f"{bench.folder}/list"
    keys = {bench.key(f"list/{number}"): number for number in range(20)}
    for key, length in keys.items():
        target.put(key, [bytes(length)])
    gone = bench.key("list/gone")
    target.put(gone, [b"x"])
    target.delete(gone)
    rows = {row.key: row.size for row in target.list(f"{folder}/")}
    _demand(all(KEY.fullmatch(key) for key in rows), "the listing shows names that are no keys")
    _demand(all(key.startswith(f"{folder}/") for key in rows), "the listing shows keys of other folders")
    wrong = [key for key, size in rows.items() if key in keys and size not in {-1, keys[key]}]
    _demand(not wrong, f"the listing tells a wrong size of {wrong[:1]}")
    seen = sum(key in rows for key in keys)
    if target.properties.fresh_listings:
        _demand(seen == len(keys), f"the listing shows {seen} of {len(keys)} objects that were put before")
        _demand(gone not in rows, "the listing shows an object that was deleted before")
    return f"{seen} of {len(keys)} objects seen at once"


def _large(bench: _Bench) -> str:
    key, target = bench.key(), bench.target
    if target.properties.largest < _LARGE:
        raise _UntriedError(f"its largest object is {target.properties.largest} bytes")
    whole = secrets.token_bytes(1 << 20) * 8 + secrets.token_bytes(_LARGE - (8 << 20))
    target.put(key, [whole[at : at + 3000] for at in range(0, _LARGE, 3000)])
    _demand(target.size(key) == _LARGE, f"size is {target.size(key)}, not {_LARGE}")
    _demand(target.get(key) == whole, "get returned other bytes")
    _demand(target.get_range(key, _LARGE - 5000, 5000) == whole[-5000:], "get_range returned other bytes")
    return f"{_LARGE} bytes in pieces of 3000"


def _keys(bench: _Bench) -> str:
    names = ("a", "0", "-", "z" * 64, "0-9", "deep/a", f"deep/{'9' * 64}")
    keys = {bench.key(name): name.encode() for name in names}
    for key, content in keys.items():
        bench.target.put(key, [content])
    _demand(all(bench.target.get(key) == content for key, content in keys.items()), "two keys were taken for one")
    for bad in ("", "/a", "a/", "../a", "a//b", "A", "a.b", "a/b/c/d/e", "x" * 65):
        try:
            bench.target.put(bad, [b"x"])
        except ValueError:
            continue
        raise _BrokenError(f"a name that is no key was accepted: {bad!r}")
    return f"{len(keys)} shapes stored, others refused"


def _threads(bench: _Bench) -> str:
    def work(key: str) -> None:
        for number in range(8):
            content = f"{key}/{number}".encode() * 100
            bench.target.put(key, [content])
            _demand(bench.target.get(key) == content, "one thread's put was answered with another's bytes")

    count = max(2, min(8, bench.target.properties.connections))
    bench.together(*(partial(work, bench.key()) for _ in range(count)))
    return f"{count} threads"


def _durability(bench: _Bench) -> str:
    raise _UntriedError(
        f"stated, not tried: what is acknowledged survives up to '{bench.target.properties.durability}'"
    )


_Attempt: TypeAlias = Callable[[_Bench], str]
_TRIALS: Final[tuple[tuple[str, str, _Attempt], ...]] = (
    ("read-after-write", "get, get_range and size answer at once for what was put", _read_after_write),
    ("create", "a second create of one key is refused", _second_create),
    ("race", "exactly one of many racing creates wins, and its bytes stay", _race),
    ("overwrite", "a put is seen whole or not at all", _overwrite),
    ("ranges", "get_range returns exactly the bytes asked for, or fails", _ranges),
    ("missing", "what is not there is said not to be there", _missing),
    ("delete", "what was deleted is gone", _delete),
    ("listing", "a listing shows what it is stated to show", _listing),
    ("large", "an object of more than 8 MiB is stored whole", _large),
    ("keys", "keys of every shape are kept apart; other names are refused", _keys),
    ("threads", "several threads may use it at once", _threads),
    ("durability", "what was acknowledged survives", _durability),
    ("clean", "everything that was tried is removed again", _Bench.clean),
)


def try_target(target: Target, *, tell: Callable[[Trial], None] | None = None) -> TargetReport:
    """Try every promise of the target, under keys of our own. Each trial is told as soon as it ends.

    Takes seconds on a local disk, and a few hundred requests.
    """
    bench = _Bench(target)
    trials = []
    for name, promise, attempt in _TRIALS:
        outcome, detail = _outcome(attempt, bench)
        trial = Trial(name, promise, outcome, detail)
        trials.append(trial)
        if tell is not None:
            tell(trial)
    return TargetReport(target.url, target.properties, tuple(trials))


def _outcome(attempt: _Attempt, bench: _Bench) -> tuple[Outcome, str]:
    try:
        return Outcome.OK, attempt(bench)
    except _UntriedError as untried:
        return Outcome.SKIPPED, str(untried)
    except _BrokenError as broken:
        return Outcome.FAILED, str(broken)
    except Exception as error:  # noqa: BLE001  # a broken target may raise anything; that is what is reported
        return Outcome.FAILED, f"{type(error).__name__}: {error}"
