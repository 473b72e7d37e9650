"""SIGKILL at every point of a held backup, and at any instant: ``recover`` gives the volume back. Twice is harmless,
and so is a reboot in between.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill import Conversation, Engine
from holdstill.held.runner import survivors
from holdstill.spi.holds import UndoState
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_testing.torture import dice, full, rounds

pytestmark = pytest.mark.root
WAYS = {
    "remount": {"mode": "static", "method": "remount"},
    "unmount": {"mode": "static", "method": "unmount"},
    "freeze": {"mode": "freeze"},
}
KILLED = -9


@pytest.fixture
def mortal(place):
    """Back up, and die as ordered."""
    told = {"point": place.point, "repository": place.repository, "state": str(place.state)}
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("mortal.py"), json.dumps(told)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def order(**wanted):
        process.stdin.write(json.dumps(wanted) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with contextlib.closing(process.stdout):
        yield order
        process.stdin.close()
        process.wait()


def recovered(place):
    return Engine(state=str(place.state)).recover(Conversation())


def assert_given_back(place, why):
    first = recovered(place)
    assert all(each.gone for each in first), (why, first)
    assert place.left() == [], why
    assert recovered(place) == [], why
    assert place.journals() == [], why
    assert place.left() == [], why


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_point(place, mortal, way):
    whole = mortal(**WAYS[way])
    assert whole["code"] == 0, whole
    points = int(whole["said"])
    assert points >= 10
    for point in range(1, points + 1):
        died = mortal(**WAYS[way], die_at=point)
        assert died["code"] == KILLED, died
        assert_given_back(place, f"{way} at point {point}")


@pytest.mark.parametrize("way", WAYS)
def test_killed_and_then_the_host_was_started_again(place, mortal, way, monkeypatch):
    """Nothing is mounted any more, and then all is mounted by the host: neither is touched."""
    points = int(mortal(**WAYS[way])["said"])
    for mounted in (False, True):
        for point in range(2, points, 3 if full() else 9):
            mortal(**WAYS[way], die_at=point)
            for journal in place.journals():
                assert survivors(journal.stem, 20) == []  # the watchdog; a reboot ends it too
            place.unmount()
            if mounted:
                place.mount()
            with monkeypatch.context() as patch:
                patch.setattr(Kernel, "boot", lambda self: "the next one")
                found = recovered(place)
                held = [each for each in found if each.kind.startswith("static_unmount")]
                assert {each.state for each in held} <= {UndoState.ABSENT}
                assert recovered(place) == []
            assert bool(place.mounts()) == mounted
            if not mounted:
                place.mount()
            assert place.left() == []


def test_killed_at_any_instant(place, mortal):
    rolls = dice("killed while holding")
    ways = list(WAYS.values())
    for number in range(rounds(200)):
        way = ways[number % len(ways)]
        after = rolls.uniform(0.0, 0.25)
        mortal(**way, die_after=after)
        assert_given_back(place, f"{way} after {after} seconds")


def test_the_next_run_finds_by_its_place_what_the_one_before_had_unmounted(place, mortal):
    points = int(mortal(**WAYS["unmount"])["said"])
    for point in range(4, points - 2, 3 if full() else 9):
        mortal(**WAYS["unmount"], die_at=point)
        done = mortal(**WAYS["remount"])
        assert done["code"] == 0, done
        assert place.left() == []


def test_killed_again_and_again_without_recover(place, mortal):
    """Each run gives back what the one before left, before it holds anything itself."""
    rolls = dice("killed again and again")
    for number in range(rounds(60)):
        mortal(**list(WAYS.values())[number % 3], die_after=rolls.uniform(0.0, 0.25))
    for way in WAYS.values():
        done = mortal(**way)
        assert done["code"] == 0, done
    assert place.left() == []
    assert_given_back(place, "in the end")
