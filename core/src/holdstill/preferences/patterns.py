"""The wildcards of include-exclude lists.

``*`` is any characters of one directory level, ``?`` one of them, ``[a-c]`` one of a class, ``...`` any number of
levels; a backslash takes the meaning from what follows (Storage Protect documentation, "Wildcard characters").
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import attrs

_WILD: Final = ("*", "?", "[", "...", "\\")


@attrs.frozen
class _Step:
    """Takes one character, or with ``often`` any number of them, none included."""

    takes: Callable[[str], bool] = attrs.field(eq=False)
    often: bool = False
    levels: bool = False
    """Stands for whole levels: it ends where it began, or behind a slash."""


def is_wild(pattern: str) -> bool:
    """Does it match anything but itself?"""
    return any(each in pattern for each in _WILD)


def fits(pattern: str, path: str) -> bool:
    """Does the whole of ``path`` match? Takes time in proportion to the product of both lengths, at most."""
    steps = _steps(pattern)
    at = _onwards({0}, steps)
    for past, letter in enumerate(path, 1):
        taken = {step + (not steps[step].often) for step in at if step < len(steps) and steps[step].takes(letter)}
        at = _onwards(taken, steps, behind_slash=path[past - 1] == "/")
        if not at:
            return False
    return len(steps) in at


def _onwards(places: set[int], steps: tuple[_Step, ...], *, behind_slash: bool = True) -> set[int]:
    """With all the places that are reached without taking anything."""
    reached: set[int] = set()
    for place in places:
        here = place
        reached.add(here)
        while here < len(steps) and steps[here].often and (behind_slash or not steps[here].levels):
            here += 1
            reached.add(here)
    return reached


@functools.lru_cache(maxsize=256)
def _steps(pattern: str) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if pattern.startswith("...", at):
            at += 3
            levels = (at == 3 or pattern[at - 4] == "/") and pattern[at : at + 1] == "/"
            steps.append(_Step(lambda _: True, often=True, levels=levels))
            at += levels
        elif letter == "[" and (end := pattern.find("]", at + 2)) > 0:
            steps.append(_Step(_one_of(pattern[at + 1 : end])))
            at = end + 1
        else:
            if letter == "\\" and at + 1 < len(pattern):
                at += 1
                steps.append(_Step(_is(pattern[at])))
            elif letter in "*?":
                steps.append(_Step(_in_level, often=letter == "*"))
            else:
                steps.append(_Step(_is(letter)))
            at += 1
    return tuple(steps)


def _in_level(letter: str) -> bool:
    return letter != "/"


def _is(letter: str) -> Callable[[str], bool]:
    return lambda other: other == letter


def _one_of(inside: str) -> Callable[[str], bool]:
    letters: set[str] = set()
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            ranges.append((inside[at], inside[at + 2]))
            at += 3
        else:
            letters.add(inside[at])
            at += 1
    return lambda letter: letter in letters or any(first <= letter <= last for first, last in ranges)
