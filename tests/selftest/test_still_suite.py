"""The suite for stills passes the reference still, and fails each planted one where its obligation is named."""

import pytest

from holdstill_testing.fakes.planted import stills

pytest_plugins = ["pytester"]

SOURCE = """
import pytest
from holdstill_testing.fakes.memory_still import MemoryStill, Shelf
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.fakes.planted import stills
from holdstill_testing.suites import StillSuite
from holdstill_testing.torture import dice

DATA = dice("a volume").randbytes(100_000)


class TestIt(StillSuite):
    @pytest.fixture
    def shelf(self):
        return Shelf()

    @pytest.fixture
    def volume(self):
        return MemoryVolume(DATA)

    @pytest.fixture
    def make_still(self, volume, shelf):
        return lambda request: {still}(volume, request, shelf)

    @pytest.fixture
    def truth(self):
        return DATA

    @pytest.fixture
    def acquired(self, shelf):
        return lambda: set(shelf.snapshots)

    @pytest.fixture
    def change(self, volume):
        return volume.change

    @pytest.fixture
    def lose(self, shelf):
        return lambda: shelf.lost.update(shelf.snapshots)

    @pytest.fixture
    def heal(self, shelf):
        return shelf.lost.clear
"""

RELEASES = {
    "test_4_release_gives_everything_back",
    "test_4_release_after_an_exception",
    "test_4_release_of_a_lost_still",
}

EXPECTED = {
    "AcquiresFirst": {"test_4_it_is_written_down_before_it_exists", "test_4_what_fails_half_way_is_given_back"},
    "LeaksOnException": {"test_4_what_fails_half_way_is_given_back"},
    "ForgetsUntruth": {"test_3_once_untrue_untrue_for_good"},
    "NeverUntrue": {"test_3_once_untrue_untrue_for_good", "test_3_a_lost_still_is_not_read"},
    "ReadsWhenLost": {"test_3_a_lost_still_is_not_read"},
    "FollowsTheVolume": {"test_1_it_does_not_change_with_the_volume"},
    "SharesOneReader": {"test_1_it_reads_as_the_volume_was"},
    "ReleasesTheLineOnly": RELEASES,
    "ReleasesTheSnapshotOnly": RELEASES,
    "ReleasesOnce": {"test_4_release_gives_everything_back"},
}


def test_the_reference_still_keeps_everything(run_suite):
    verdict = run_suite(SOURCE.format(still="MemoryStill"))
    assert verdict.failed == verdict.skipped == set(), verdict.text
    assert len(verdict.passed) >= 11


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_planted_fault_is_caught_where_it_is_named(run_suite, fault):
    assert run_suite(SOURCE.format(still=f"stills.{fault}")).failed == EXPECTED[fault]


def test_every_planted_fault_is_tried():
    planted = {
        name for name, kind in vars(stills).items() if isinstance(kind, type) and kind.__module__ == stills.__name__
    }
    assert planted == set(EXPECTED)
