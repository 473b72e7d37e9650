"""Writers, prunes, deletes and crashes in any order, call by call, on the real code: no committed image is ever lost.

And the machine finds what it should: shortcuts that the protocol forbids are planted in the code, and each is caught.
"""

from __future__ import annotations

import random
from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from holdstill_testing.actors import Outcome
from holdstill_testing.clocks import DAY
from holdstill_testing.sealed import PASSWORD
from holdstill_testing.torture import full, rounds, seed
from holdstill_testing.world import DAYS, HOSTS, LETTERS, LIES, MOST, World

FAULTS = [outcome for outcome in Outcome if outcome is not Outcome.DONE]
SHARES = [0.0, 0.5, 1.0]
SEALED = pytest.mark.parametrize("password", [None, PASSWORD], ids=["plain", "sealed"])


class Machine(RuleBasedStateMachine):
    """Hypothesis chooses."""

    def __init__(self, password=None):
        super().__init__()
        self.world = World(password)

    @initialize(volumes=st.lists(st.text(LETTERS, min_size=3, max_size=7), min_size=2, max_size=4))
    def there_are_images(self, volumes):
        for letters in volumes:
            self.world.finish(self.world.backup(letters))

    @rule(
        letters=st.text(LETTERS, min_size=3, max_size=7),
        lie=st.sampled_from(LIES),
        host=st.sampled_from(HOSTS),
        may_read=st.booleans(),
    )
    @precondition(lambda self: len(self.world.living) < MOST)
    def backup(self, letters, lie, host, may_read):
        self.world.backup(letters, lie, host, may_read=may_read)

    @rule(
        repack_below=st.sampled_from(SHARES),
        fence=st.booleans(),
        lie=st.sampled_from(LIES),
        host=st.sampled_from(HOSTS),
    )
    @precondition(lambda self: len(self.world.living) < MOST)
    def prune(self, repack_below, fence, lie, host):
        self.world.prune(repack_below, fence=fence, lie=lie, host=host)

    @rule(host=st.sampled_from(HOSTS), steps=st.sampled_from([0, 5]))
    @precondition(lambda self: len(self.world.living) < MOST)
    def a_week_of_prunes(self, host, steps):
        self.world.a_week_of_prunes(host, steps)

    @rule(days=st.sampled_from(DAYS))
    def time_passes(self, days):
        self.world.clock.pass_by(days * DAY)

    @rule(which=st.integers(0, 9))
    @precondition(lambda self: len(self.world.living) < MOST)
    def delete(self, which):
        self.world.delete(which)

    @rule(which=st.integers(0, 9))
    @precondition(lambda self: len(self.world.living) < MOST)
    def protect(self, which):
        self.world.protect(which)

    @rule(letters=st.text(LETTERS, min_size=3, max_size=7), lie=st.sampled_from(LIES))
    @precondition(lambda self: len(self.world.living) < MOST)
    def copy_in(self, letters, lie):
        self.world.copy_in(letters, lie)

    @rule(which=st.integers(0, 9))
    @precondition(lambda self: len(self.world.living) < MOST)
    def copy_out(self, which):
        self.world.copy_out(which)

    @rule()
    @precondition(lambda self: len(self.world.living) < MOST)
    def verify(self):
        self.world.verify()

    @rule(which=st.integers(0, 3), steps=st.sampled_from([1, 5, 10, 20, 40, 100]))
    @precondition(lambda self: self.world.living)
    def one_goes_on(self, which, steps):
        living = self.world.living
        self.world.steps(living[which % len(living)], steps)

    @rule(which=st.integers(0, 3), outcome=st.sampled_from(FAULTS))
    @precondition(lambda self: self.world.living)
    def a_call_goes_wrong(self, which, outcome):
        living = self.world.living
        self.world.step(living[which % len(living)], outcome)

    @rule(which=st.integers(0, 9))
    @precondition(lambda self: self.world.later)
    def a_late_request_arrives(self, which):
        self.world.land(which)

    @rule()
    def a_listing_is_taken(self):
        self.world.look()

    def teardown(self):
        try:
            self.world.come_to_rest()
        finally:
            self.world.close()


@SEALED
def test_no_committed_image_is_ever_lost_and_all_garbage_goes(password):
    run_state_machine_as_test(
        lambda: Machine(password),
        settings=settings(
            max_examples=rounds(80),
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def wander(dice, password, turns=70):
    """A walk on which faults are rare enough for most work to come to an end. What was done, in numbers."""
    world, done = World(password), Counter()
    try:
        for _ in range(3):
            world.finish(world.backup(volume(dice)))
        for _ in range(turns):
            turn(world, dice)
        world.come_to_rest()
        done.update(type(actor.result).__name__ for actor in world.actors if actor.error is None)
        done.update(packs=world.pruned, faults=world.faults, given_up=world.given_up)
    finally:
        world.close()
    return done


def volume(dice):
    return "".join(dice.choices(LETTERS, k=dice.randint(3, 7)))


def turn(world, dice):
    if len(world.living) < MOST and dice.random() < 0.35:
        who = dice.choice(
            [
                *("backup", "backup", "backup", "copy in", "copy out"),
                *("prune", "prune", "prune", "prune", "delete", "delete", "protect", "verify"),
                *("week", "week"),
            ]
        )
        if who == "backup":
            world.backup(volume(dice), dice.choice(LIES), dice.choice(HOSTS), may_read=dice.random() < 0.7)
        elif who == "prune":
            world.prune(dice.choice(SHARES), fence=dice.random() < 0.3, lie=dice.choice(LIES), host=dice.choice(HOSTS))
        elif who == "week":
            world.a_week_of_prunes("one", dice.choice([0, 0, 5]))
        elif who == "delete":
            world.delete(dice.randrange(9))
        elif who == "copy in":
            world.copy_in(volume(dice), dice.choice(LIES))
        elif who == "copy out":
            world.copy_out(dice.randrange(9))
        elif who == "protect":
            world.protect(dice.randrange(9))
        else:
            world.verify()
    elif dice.random() < 0.05:
        world.look()
        world.clock.pass_by(dice.choice(DAYS) * DAY)
    elif dice.random() < 0.05:
        world.land(dice.randrange(9))
    elif world.living:
        actor = dice.choice(world.living)
        world.steps(actor, dice.choice([1, 3, 8, 15, 30, 60]))
        if not actor.ended and dice.random() < 0.08:
            world.step(actor, dice.choice(FAULTS))


@pytest.mark.torture
@SEALED
def test_no_committed_image_is_lost_on_any_walk(password, record_property):
    walks = rounds(60)
    done = sum((wander(random.Random(f"{seed()}/prune/{number}"), password) for number in range(walks)), Counter())
    assert done["packs"] > walks * 3, done
    assert done["Image"] > walks * 5, done
    assert done["given_up"] or not full(), done
    record_property("rounds", walks)
    record_property("faults", done["faults"])
