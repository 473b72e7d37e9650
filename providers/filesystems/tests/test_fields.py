"""Structures by tables, and errors that say where."""

from __future__ import annotations

import numpy as np
import pytest

from holdstill.errors import StructureFault
from holdstill_filesystems.fields import Layout
from holdstill_testing.fakes.file_reader import FileReader

LAYOUT = Layout("thing", 12, ">", "nowhere", (("one", 0, "H"), ("two", 4, "2H"), ("three", 8, "4s")))


@pytest.fixture
def reader(tmp_path):
    (tmp_path / "volume").write_bytes(b"....\0\x01..\0\x02\0\x03four")
    with FileReader(tmp_path / "volume") as found:
        yield found


def test_fields_of_every_form(reader):
    record = LAYOUT.read(reader, 4)

    assert (record["one"], record["two"], record["three"]) == (1, (2, 3), b"four")


@pytest.mark.parametrize("offset", [-1, 5, 1 << 70])
def test_outside_the_volume(reader, offset):
    with pytest.raises(StructureFault, match=f"the thing at byte {offset} would lie outside"):
        LAYOUT.read(reader, offset)


def test_cut_off():
    with pytest.raises(StructureFault, match="cut off after 11 bytes"):
        LAYOUT.parse(bytes(11), 0)


def test_a_fault_names_structure_field_and_place(reader):
    record = LAYOUT.read(reader, 4)
    with pytest.raises(StructureFault, match="the thing's three at byte 12 is 666f7572: it should be five"):
        record.require("three", False, "it should be five")
    record.require("three", True, "never said")


def test_columns_leave_out_what_a_short_structure_has_not():
    layout = Layout("row", 4, "<", "nowhere", (("low", 0, "H"), ("high", 4, "H")))
    rows = np.arange(8, dtype=np.uint8)

    assert rows.view(layout.columns(4))["low"].tolist() == [0x0100, 0x0504]
    assert layout.columns(4).names == ("low",)
    assert rows.view(layout.columns(8))["high"].tolist() == [0x0504]


def test_columns_of_bytes_compare_with_bytes():
    rows = np.frombuffer(b"\0" * 8 + b"ab\0\0" + b"\0" * 8 + b"abc\0", dtype=np.uint8)

    assert (rows.view(LAYOUT.columns(12))["three"] == b"ab\0\0").tolist() == [True, False]
