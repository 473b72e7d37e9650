"""``try_target``, the suite's twin at the customer's, tells sound targets from planted ones, and never raises."""

import attrs
import pytest

from holdstill.errors import TargetError
from holdstill.repository.trial import Outcome, try_target
from holdstill.spi.target import Durability, TargetProperties
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget
from holdstill_testing.fakes.planted import targets

#: which trial must tell of which fault; keeping the caller's buffers shows only when they are used again
EXPECTED = {
    "TornPut": {"overwrite"},
    "StreamingPut": {"overwrite"},
    "LooksFirst": {"race"},
    "ReplacingCreate": {"create", "race"},
    "ImitatedCreate": {"create"},
    "ShortRange": {"ranges"},
    "InclusiveRange": {"ranges"},
    "RemembersMissing": {"read-after-write", "delete"},
    "VagueMissing": {"read-after-write", "missing", "delete"},
    "StaleListing": {"listing"},
    "StrictDelete": {"missing", "clean"},
    "LazyDelete": {"delete", "listing", "clean"},
    "TakesAnyName": {"keys"},
    "SharedScratch": {"threads"},
}


def failed(report):
    return {trial.name for trial in report.trials if trial.outcome is Outcome.FAILED}


def test_a_sound_target_is_found_sound_and_left_clean():
    target, told = MemoryTarget(), []
    target.put("mine", [b"x"])
    report = try_target(target, tell=told.append)
    assert report.kept, report
    assert tuple(told) == report.trials
    assert {trial.name for trial in report.trials if trial.outcome is Outcome.SKIPPED} == {"durability"}
    assert target.objects == {"mine": b"x"}


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_planted_fault_is_reported(fault):
    report = try_target(getattr(targets, fault)())
    assert failed(report) == EXPECTED[fault]
    assert not report.kept
    assert all(trial.detail for trial in report.trials)


def test_what_is_not_claimed_is_not_tried():
    target = MemoryTarget(properties=TargetProperties(Durability.POWER, False, False, largest=1 << 20))
    report = try_target(target)
    assert report.kept, report
    skipped = {trial.name for trial in report.trials if trial.outcome is Outcome.SKIPPED}
    assert skipped == {"create", "race", "large", "durability"}


def test_a_target_without_fresh_listings_may_be_stale():
    target = targets.StaleListing(properties=attrs.evolve(PROPERTIES, fresh_listings=False))
    assert try_target(target).kept


@pytest.mark.parametrize("verb", ["put", "put_if_absent", "get", "get_range", "size", "delete", "list"])
@pytest.mark.parametrize("error", [TargetError, ValueError, RuntimeError])
def test_whatever_a_target_raises_is_reported(verb, error):
    report = try_target(FaultyTarget(MemoryTarget(), Planned(Fault.FAIL, verb, error=error)))
    assert failed(report)
    assert (
        any("planned to fail" in trial.detail or "instead of" in trial.detail for trial in report.trials)
        or error is ValueError
    )


@pytest.mark.parametrize("fault", [Fault.TEAR, Fault.DROP_REPLY, Fault.FAIL])
def test_one_failed_put_is_reported(fault):
    report = try_target(FaultyTarget(MemoryTarget(), Planned(fault, "put", at=3)))
    assert failed(report) == {"read-after-write"}
