"""The suite for readers passes the reference reader, and fails each planted one where its obligation is named."""

import pytest

from holdstill_testing.fakes.planted import readers

pytest_plugins = ["pytester"]

SOURCE = """
import pytest
from holdstill.model.extents import Extents
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.fakes.planted import readers
from holdstill_testing.suites import ReaderSuite
from holdstill_testing.torture import dice

DATA = dice("a volume").randbytes(200_000).replace(b"\\0", b"\\1")


class TestIt(ReaderSuite):
    @pytest.fixture
    def volume(self):
        return MemoryVolume(DATA)

    @pytest.fixture
    def reader(self, volume):
        return {reader}(volume)

    @pytest.fixture
    def truth(self):
        return DATA

    @pytest.fixture
    def faulty(self):
        return {reader}(MemoryVolume(DATA, unreadable=Extents.of((70_000, 512)))), 70_000, 512

    @pytest.fixture
    def change(self, volume):
        return volume.change
"""

EXPECTED = {
    "DropsLastBlock": {"test_1_it_reads_every_byte"},
    "ZeroFillsFaults": {"test_1_what_cannot_be_read_is_a_fault"},
    "ShortReader": {
        "test_1_outside_the_volume_is_a_value_error",
        "test_1_it_reads_every_byte",
        "test_3_any_offset_and_length_will_do",
        "test_4_threads_do_not_disturb_each_other",
        "test_1_what_cannot_be_read_is_a_fault",
    },
    "EndsInZeros": {"test_1_outside_the_volume_is_a_value_error"},
    "SeekingReader": {"test_4_threads_do_not_disturb_each_other"},
    "CachingReader": {"test_2_it_returns_what_is_there_now"},
    "AlignedOnly": {
        "test_1_what_cannot_be_read_is_a_fault",
        "test_1_it_reads_every_byte",
        "test_1_it_fills_the_whole_buffer_and_nothing_else",
        "test_3_any_offset_and_length_will_do",
        "test_4_threads_do_not_disturb_each_other",
    },
    "ClosesOnce": {"test_5_it_may_be_closed_twice_and_then_reads_nothing"},
    "ReadsWhenClosed": {"test_5_it_may_be_closed_twice_and_then_reads_nothing"},
}


def test_the_reference_reader_keeps_everything(run_suite):
    verdict = run_suite(SOURCE.format(reader="MemoryReader"))
    assert verdict.failed == verdict.skipped == set(), verdict.text
    assert len(verdict.passed) >= 11


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_planted_fault_is_caught_where_it_is_named(run_suite, fault):
    assert run_suite(SOURCE.format(reader=f"readers.{fault}")).failed == EXPECTED[fault]


def test_every_planted_fault_is_tried():
    planted = {
        name for name, kind in vars(readers).items() if isinstance(kind, type) and kind.__module__ == readers.__name__
    }
    assert planted == set(EXPECTED)
