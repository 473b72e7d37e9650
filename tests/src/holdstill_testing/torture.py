"""How long the long random tests run: all of it in ``make torture``, a seeded tenth elsewhere."""

from __future__ import annotations

import os
import random


def full() -> bool:
    """Is this a torture run?"""
    return os.environ.get("HOLDSTILL_TORTURE") == "full"


def rounds(number: int) -> int:
    """How many of ``number`` rounds to run now; at least one."""
    return number if full() else max(1, number // 10)


def seed() -> int:
    """The seed of this run: fixed, so that a failure comes back; chosen by ``HOLDSTILL_SEED`` in a torture run."""
    return int(os.environ.get("HOLDSTILL_SEED", "20"))


def dice(name: str) -> random.Random:
    """A random generator of its own for each test, so that one test's draws never move another's."""
    return random.Random(f"{seed()}/{name}")
