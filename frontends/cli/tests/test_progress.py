"""The progress line: share, rate and time left."""

import pytest

from holdstill.model.events import Progress
from holdstill_cli.progress import ProgressLine
from holdstill_cli.streams import Streams


@pytest.fixture
def time():
    """A clock that the test moves."""
    return {"now": 100.0}


@pytest.fixture
def line(time):
    return ProgressLine(Streams(), now=lambda: time["now"])


def _progress(done, stage="read", total=100 << 20, stored=0):
    return Progress(stage=stage, subject="/dev/v", done=done, total=total, stored=stored)


def test_the_first_says_no_rate(line):
    assert line.sentence(_progress(0)) == "read  0%  0 B of 100 MiB  /dev/v"


def test_rate_and_time_left(line, time):
    line.sentence(_progress(0))
    time["now"] += 2

    said = line.sentence(_progress(20 << 20, stored=5 << 20))

    assert said == "read  20%  20.0 MiB of 100 MiB  stored 5.0 MiB  10.0 MiB/s  0:08 left  /dev/v"


def test_the_rate_is_that_of_late(line, time):
    for second in range(61):
        time["now"] = 100.0 + second
        said = line.sentence(_progress((second << 10) if second <= 40 else ((second - 40) << 20)))

    assert "1.0 MiB/s" in said


def test_a_new_stage_begins_a_new_rate(line, time):
    line.sentence(_progress(0))
    time["now"] += 1
    line.sentence(_progress(50 << 20))

    assert "/s" not in line.sentence(_progress(50 << 20, stage="prove"))


def test_no_time_is_left_at_the_end(line, time):
    line.sentence(_progress(0))
    time["now"] += 1

    assert "left" not in line.sentence(_progress(100 << 20))


def test_an_unknown_total(line):
    assert line.sentence(_progress(1 << 20, total=0)) == "read  1.0 MiB  /dev/v"


def test_nothing_is_drawn_where_nobody_watches(line, capsys):
    line.show(_progress(1))
    line.begin("read", "/dev/v")
    line.wipe()

    assert capsys.readouterr() == ("", "")
