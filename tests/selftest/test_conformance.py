"""No suite goes quiet: a forgotten fixture is loud, and an override is refused."""

import pytest

from holdstill_testing import suites
from holdstill_testing.suites import ConformanceSuite, TargetSuite

pytest_plugins = ["pytester"]

ALL = sorted(set(suites.__all__) - {"ConformanceSuite"})


@pytest.mark.parametrize("suite", ALL)
def test_a_forgotten_fixture_is_loud(run_suite, suite):
    verdict = run_suite(f"from holdstill_testing.suites import {suite}\n\n\nclass TestIt({suite}):\n    pass\n")
    tests = {name for name in dir(getattr(suites, suite)) if name.startswith("test_")}
    assert verdict.failed | verdict.skipped >= tests - verdict.passed
    assert len(verdict.failed) > len(tests) * 2 / 3
    assert "override the `" in verdict.text


@pytest.mark.parametrize("suite", ALL)
def test_importing_a_suite_collects_nothing(run_suite, suite):
    verdict = run_suite(f"from holdstill_testing.suites import {suite}\n\n\ndef test_alone():\n    assert {suite}\n")
    assert verdict.passed == {"test_alone"}
    assert not verdict.failed | verdict.skipped


def test_an_assertion_of_a_suite_speaks(run_suite):
    verdict = run_suite(
        "import pytest\nfrom holdstill_testing.fakes.planted.targets import InclusiveRange\n"
        "from holdstill_testing.suites import TargetSuite\n\n\nclass TestIt(TargetSuite):\n"
        "    @pytest.fixture\n    def target(self):\n        return InclusiveRange()\n"
    )
    assert "where" in verdict.text or "assert b" in verdict.text


def test_an_emptied_test_is_refused():
    with pytest.raises(TypeError, match="overrides an obligation of TargetSuite"):

        class TestQuiet(TargetSuite):
            def test_3_ranges_are_exact(self):
                pass


def test_a_removed_test_is_refused():
    with pytest.raises(TypeError, match="test_3_ranges_are_exact"):

        class TestQuiet(TargetSuite):
            test_3_ranges_are_exact = None


def test_an_override_from_beside_is_refused():
    class Beside:
        def test_3_ranges_are_exact(self):
            pass

    with pytest.raises(TypeError, match="overrides an obligation of TargetSuite"):

        class TestQuiet(Beside, TargetSuite):
            pass


def test_a_suite_that_is_not_collected_is_refused():
    with pytest.raises(TypeError, match="never collected"):

        class TestQuiet(TargetSuite):
            __test__ = False


@pytest.mark.parametrize(
    "mark", [pytest.mark.skip(reason="later"), pytest.mark.xfail(reason="later"), pytest.mark.xfail(strict=True)]
)
def test_only_an_xfail_with_a_reason_that_says_if_it_is_strict_will_do(mark):
    def test_3_ranges_are_exact(self):
        pass

    with pytest.raises(TypeError, match="mark it @pytest"):
        type("TestQuiet", (TargetSuite,), {"test_3_ranges_are_exact": mark(test_3_ranges_are_exact)})


STRICT = """
import pytest
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.fakes.planted.targets import ShortRange
from holdstill_testing.suites import TargetSuite


class TestShort(TargetSuite):
    @pytest.fixture
    def target(self):
        return {target}()

    @pytest.mark.xfail(reason="it returns what there is", strict=True)
    def test_3_a_range_past_the_end_is_an_error(self, target):
        super().test_3_a_range_past_the_end_is_an_error(target)


class TestOther(TargetSuite):
    @pytest.fixture
    def target(self):
        return ShortRange()
"""


def test_a_strict_xfail_is_admitted_and_does_not_leak(run_suite):
    verdict = run_suite(STRICT.format(target="ShortRange"))
    assert verdict.failed == {"test_3_a_range_past_the_end_is_an_error"}
    assert verdict.text.count("Failed: DID NOT RAISE") == 1


def test_a_strict_xfail_that_passes_is_a_failure(run_suite):
    assert "[XPASS(strict)]" in run_suite(STRICT.format(target="MemoryTarget")).text


def test_suites_are_plain_classes():
    for name in ALL:
        assert issubclass(getattr(suites, name), ConformanceSuite)
        assert name.endswith("Suite")
