"""The sheet of ids: any order of writing, one order of reading."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from holdstill.pipeline.sheet import Sheet

ID = 32


@attrs.define
class Sink:
    ids: bytearray = attrs.field(factory=bytearray)

    def append(self, ids):
        self.ids += ids

    def append_zeros(self, count):
        assert count >= 0
        self.ids += bytes(count * ID)


@given(
    count=st.integers(1, 20_000),
    writes=st.lists(st.tuples(st.integers(0, 19_999), st.integers(1, 5), st.integers(1, 255)), max_size=20),
)
def test_what_was_written_last_is_poured_in_order(tmp_path_factory, count, writes):
    expected = bytearray(count * ID)
    with Sheet(tmp_path_factory.mktemp("sheet"), count) as sheet:
        for first, number, fill in writes:
            number = min(number, count - first)
            if number > 0:
                sheet.write(first, bytes([fill]) * (number * ID))
                expected[first * ID : (first + number) * ID] = bytes([fill]) * (number * ID)
        sink = Sink()
        sheet.pour(sink)

    assert sink.ids == expected


def test_a_huge_empty_sheet_is_poured_without_being_read(tmp_path):
    counted = []

    class Counting(Sink):
        def append(self, ids):
            raise AssertionError("nothing was written")

        def append_zeros(self, count):
            counted.append(count)

    with Sheet(tmp_path, 1 << 26) as sheet:
        sheet.pour(Counting())

    assert sum(counted) == 1 << 26
    assert len(counted) == 1
