"""A volume made for a restore: it is written down first, tagged, large enough, and goes again without a trace."""

import pytest

from holdstill.errors import LeftHeld, RestoreRefused, VolumeMissing
from holdstill.spi.holds import UndoState
from holdstill.spi.still import HoldRequest
from holdstill_lvm2 import plugin
from holdstill_testing.fakes.recorded_holds import RecordedHolds

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture
def holds():
    return RecordedHolds()


@pytest.fixture
def create(holds, runner):
    def make(name, size):
        return plugin.create_volume(name, size, HoldRequest(run="r1", holds=holds, runner=runner))

    return make


@pytest.fixture
def listed(lvm, group):
    """What there is: ``{name: (size, tags)}``."""

    def rows():
        told = lvm(
            "lvs",
            "--noheadings",
            "--nosuffix",
            "--units",
            "b",
            "--separator",
            "|",
            "-o",
            "lv_name,lv_size,lv_tags",
            group,
        )
        split = [line.strip().split("|") for line in told.splitlines()]
        return {name: (int(size), tags) for name, size, tags in split if name not in ("my-lv", "+st_1")}

    return rows


def test_it_is_as_large_as_it_must_be_and_then_the_users(create, group, holds, listed):
    made = create(f"{group}/new-1", 5 * MIB)
    assert made.path == f"/dev/{group}/new-1"
    assert listed() == {"new-1": (8 * MIB, "holdstill_new_r1")}
    assert len(holds.open_lines) == 1

    made.keep()

    assert listed() == {"new-1": (8 * MIB, "")}
    assert not holds.open_lines


def test_it_goes_again(create, group, holds, listed):
    create(f"{group}/new", 4 * MIB).remove()
    assert listed() == {}
    assert not holds.open_lines


def test_what_a_dead_run_left_is_undone_once(create, group, holds, listed, runner):
    create(f"{group}/new", 4 * MIB)
    ((kind, data),) = [(line.kind, line.data) for line in holds.open_lines]
    assert plugin.undo(kind, 1, data, runner).state is UndoState.REMOVED
    assert listed() == {}
    assert plugin.undo(kind, 1, data, runner).state is UndoState.ABSENT


def test_what_cannot_be_asked_is_not_absent(create, group, holds, listed, runner):
    create(f"{group}/new", 4 * MIB)
    (line,) = holds.open_lines
    gone = {**line.data, "vg_uuid": "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA"}
    assert plugin.undo(line.kind, 1, gone, runner).state is UndoState.UNKNOWN
    assert plugin.undo(line.kind, 2, line.data, runner).state is UndoState.UNKNOWN
    assert set(listed()) == {"new"}


def test_only_what_is_ours_is_removed(create, lvm, group, holds, listed, runner):
    made = create(f"{group}/new", 4 * MIB)
    (line,) = holds.open_lines
    lvm("lvrename", group, "new", "theirs")
    assert plugin.undo(line.kind, 1, line.data, runner).state is UndoState.REFUSED
    with pytest.raises(LeftHeld, match="theirs"):
        made.remove()
    lvm("lvchange", "--deltag", "holdstill_new_r1", f"{group}/theirs")
    lvm("lvcreate", "--activate", "n", "-Zn", "-Wn", "-l1", "-n", "new", group)  # a look-alike without our tag
    assert plugin.undo(line.kind, 1, line.data, runner).state is UndoState.ABSENT
    assert set(listed()) == {"new", "theirs"}


def test_too_little_room_is_told_before_anything_is_made(create, group, holds, listed):
    with pytest.raises(RestoreRefused, match=rf"{group}: it has \d+ bytes free, and the volume takes {1 << 30}"):
        create(f"{group}/new", 1 << 30)
    assert listed() == {}
    assert not holds.open_lines


def test_a_name_that_is_taken(create, group, holds, lvm):
    with pytest.raises(RestoreRefused, match="already exists"):
        create(f"{group}/my-lv", MIB)
    assert not holds.open_lines
    assert lvm("lvs", f"{group}/my-lv")


def test_a_group_that_there_is_not(create, holds, group):
    with pytest.raises(VolumeMissing, match="no such volume group"):
        create("nowhere/new", MIB)
    assert not holds.open_lines


@pytest.mark.parametrize("name", ["plain", "/dev/vg/x", "vg/a b", "-vg/x", "vg/-x", "vg/", "a/b/c", "vg/x;y"])
def test_other_names_are_somebody_elses(create, name):
    assert create(name, MIB) is None
