"""The suite for targets passes the reference target, and fails each planted one where its obligation is named."""

import pytest

from holdstill_testing.fakes.planted import targets

pytest_plugins = ["pytester"]

SOURCE = """
import pytest
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.fakes.planted import targets
from holdstill_testing.suites import TargetSuite


class TestIt(TargetSuite):
    @pytest.fixture
    def target(self):
        return {target}()
"""

EXPECTED = {
    "TornPut": {
        "test_1_a_new_object_appears_whole",
        "test_1_an_overwritten_object_is_the_old_or_the_new_one",
        "test_a_listing_never_shows_what_is_being_put",
    },
    "StreamingPut": {
        "test_1_a_new_object_appears_whole",
        "test_1_an_overwritten_object_is_the_old_or_the_new_one",
        "test_1_a_put_that_dies_leaves_nothing",
        "test_a_listing_never_shows_what_is_being_put",
    },
    "LooksFirst": {"test_2_one_of_many_racing_creates_wins"},
    "ReplacingCreate": {"test_2_a_second_create_is_refused", "test_2_one_of_many_racing_creates_wins"},
    "ImitatedCreate": {"test_2_what_is_not_claimed_is_refused"},
    "ShortRange": {"test_3_a_range_past_the_end_is_an_error"},
    "InclusiveRange": {
        "test_3_ranges_are_exact",
        "test_3_an_object_is_found_right_after_it_was_missing",
        "test_5_threads_do_not_disturb_each_other",
    },
    "RemembersMissing": {"test_3_an_object_is_found_right_after_it_was_missing"},
    "VagueMissing": {
        "test_1_a_new_object_appears_whole",
        "test_1_a_put_that_dies_leaves_nothing",
        "test_3_an_object_is_found_right_after_it_was_missing",
        "test_4_what_is_missing_has_its_own_error",
        "test_4_what_was_deleted_is_gone",
    },
    "ListsTemporaries": {"test_a_listing_never_shows_what_is_being_put"},
    "StaleListing": {"test_a_listing_shows_what_was_put_before"},
    "StrictDelete": {"test_4_what_is_missing_has_its_own_error", "test_4_what_was_deleted_is_gone"},
    "LazyDelete": {
        "test_2_a_second_create_is_refused",
        "test_4_what_was_deleted_is_gone",
        "test_a_listing_shows_what_was_put_before",
    },
    "KeepsBuffers": {"test_1_parts_are_joined_in_order"},
    "FoldsKeys": {"test_4_keys_of_every_shape_are_kept_apart"},
    "TakesAnyName": {"test_4_other_names_are_refused"},
    "SharedScratch": {"test_5_threads_do_not_disturb_each_other"},
}


def test_the_reference_target_keeps_everything(run_suite):
    verdict = run_suite(SOURCE.format(target="MemoryTarget"))
    assert verdict.failed == set(), verdict.text
    assert verdict.skipped == {"test_2_what_is_not_claimed_is_refused"}
    assert len(verdict.passed) > 20


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_planted_fault_is_caught_where_it_is_named(run_suite, fault):
    verdict = run_suite(SOURCE.format(target=f"targets.{fault}"))
    assert verdict.failed == EXPECTED[fault]


def test_every_planted_fault_is_tried():
    planted = {
        name for name, kind in vars(targets).items() if isinstance(kind, type) and kind.__module__ == targets.__name__
    }
    assert planted == set(EXPECTED)
