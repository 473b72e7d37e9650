"""Sizes, times and tables as people read them."""

import pytest

from holdstill_cli.tables import clock, facts, human, printable, table, took


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1023 KiB"),
        (1 << 20, "1.0 MiB"),
        (99 << 20, "99.0 MiB"),
        (100 << 20, "100 MiB"),
        (16 << 40, "16.0 TiB"),
        (5000 << 50, "5000 PiB"),
    ],
)
def test_a_size_for_people(number, text):
    assert human(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.9, "0:07"), (754, "12:34"), (10805, "3:00:05")])
def test_a_time_for_people(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (7.94, "7.9 s"), (754, "12:34")])
def test_how_long_it_took(seconds, text):
    assert took(seconds) == text


def test_a_table_is_aligned():
    lines = list(table(("NAME", "SIZE"), [("a", "9.0 KiB"), ("longer", "10.0 KiB")], right=("SIZE",)))

    assert lines == ["NAME        SIZE", "a        9.0 KiB", "longer  10.0 KiB"]


def test_a_table_without_rows_is_its_headings():
    assert list(table(("NAME", "SIZE"), [])) == ["NAME  SIZE"]


def test_facts_without_a_value_are_left_out():
    assert list(facts([("a", "1"), ("bcd", ""), ("ef", "2")])) == ["a   1", "ef  2"]


def test_nothing_that_moves_a_cursor_is_printed():
    hostile = "\x1b]0;owned\x07\r\n\x9b2J" + b"\xff\xfe".decode("utf-8", "surrogateescape") + "\u202e é"

    shown = printable(hostile)

    assert shown == r"\x1b]0;owned\x07\r\n\x9b2J\xff\xfe\u202e é"
