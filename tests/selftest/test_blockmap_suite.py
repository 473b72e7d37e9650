"""The suite for block maps passes the toy file system's reader, and fails each planted one where it is wrong."""

import pytest

from holdstill_testing.fakes.planted import maps

pytest_plugins = ["pytester"]

SOURCE = """
import pytest
from holdstill.model.extents import Extents
from holdstill.model.volume import FilesystemFacts
from holdstill_testing.fakes import toy_filesystem
from holdstill_testing.fakes.planted import maps
from holdstill_testing.suites import BlockMapSuite

USED = [*range(3, 9), *range(40, 700, 7), *range(1100, 1150), 1199]


class TestIt(BlockMapSuite):
    @pytest.fixture
    def enumerate_used_blocks(self):
        return {function}

    @pytest.fixture
    def facts(self):
        return FilesystemFacts(toy_filesystem.NAME)

    @pytest.fixture
    def image(self):
        return toy_filesystem.make_image(1200, USED, 1024)

    @pytest.fixture
    def truth(self):
        return Extents.of(*((block * 1024, 1024) for block in USED))
"""

EXPECTED = {
    "forgets_the_last_extent": {"test_every_byte_of_data_is_inside", "test_what_cannot_be_read_is_no_map"},
    "forgets_the_last_window": {"test_every_byte_of_data_is_inside", "test_what_cannot_be_read_is_no_map"},
    "counts_blocks_from_one": {
        "test_every_byte_of_data_is_inside",
        "test_what_cannot_be_read_is_no_map",
        "test_windows_ascend_inside_the_volume",
    },
    "descends": {"test_windows_ascend_inside_the_volume"},
    "takes_everything": {"test_it_leaves_something_out"},
    "sees_what_it_likes": {"test_a_foreign_volume_is_refused", "test_a_truncated_volume_is_refused_or_covered"},
    "trips_over_garbage": {
        "test_a_foreign_volume_is_refused",
        "test_a_truncated_volume_is_refused_or_covered",
        "test_garbage_is_an_answer_or_a_structure_fault",
    },
    "depends_on_the_hints": {"test_any_read_size_gives_the_same_map"},
    "closes_the_reader": {"test_it_reads_and_leaves_the_reader_open"},
    "swallows_faults": {"test_what_cannot_be_read_is_no_map"},
}


def test_the_reference_map_keeps_everything(run_suite):
    verdict = run_suite(SOURCE.format(function="toy_filesystem.enumerate_used_blocks"))
    assert verdict.failed == verdict.skipped == set(), verdict.text
    assert len(verdict.passed) >= 9


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_planted_fault_is_caught_where_it_is_named(run_suite, fault):
    assert run_suite(SOURCE.format(function=f"maps.{fault}")).failed == EXPECTED[fault]


def test_every_planted_fault_is_tried():
    planted = {name for name, thing in vars(maps).items() if getattr(thing, "__module__", "") == maps.__name__}
    assert {name for name in planted if not name.startswith("_")} == set(EXPECTED)
