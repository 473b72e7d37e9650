"""What is decided before and after LVM is asked, on answers that real tools gave (lvm2 2.03.16, kernel 6.1)."""

from __future__ import annotations

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import NoProvider, VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.holds import UndoState
from holdstill.spi.runner import Ran, Runner
from holdstill.spi.still import Fill, HoldRequest
from holdstill_lvm2 import mapper, plugin
from holdstill_lvm2.lvm import Group, LogicalVolume, Lvm, hyphened, mapped, unmapped
from holdstill_lvm2.mapper import Status
from holdstill_lvm2.snapshots import delta, ours, space
from holdstill_lvm2.snapshots.ours import Ours
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.fakes.recorded_holds import RecordedHolds

MIB = 1 << 20
GROUP = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
ORIGIN = "oooooo-oooo-oooo-oooo-oooo-oooo-oooooo"
SNAPSHOT = "ssssss-ssss-ssss-ssss-ssss-ssss-ssssss"

ROW = {
    "lv_name": "data",
    "vg_name": "vg",
    "lv_uuid": ORIGIN,
    "vg_uuid": GROUP,
    "lv_attr": "-wi-a-----",
    "lv_size": str(64 * MIB),
    "lv_role": "public",
    "lv_layout": "linear",
    "lv_tags": "",
    "origin": "",
    "origin_uuid": "",
    "lv_dm_path": "/dev/mapper/vg-data",
    "pool_lv": "",
    "pool_lv_uuid": "",
    "thin_id": "",
    "transaction_id": "",
    "chunk_size": "0",
    "lv_active": "active",
    "vg_attr": "wz--n-",
    "vg_extent_size": str(4 * MIB),
    "vg_free_count": "40",
    "vg_missing_pv_count": "0",
}


class Tools(Runner):
    """Answers ``lvs`` with these rows, and everything else with nothing; keeps what it was told."""

    def __init__(self, *rows, suspended="", fails=None):
        self.rows = list(rows)
        self.suspended = suspended
        self.fails = fails
        self.told = []

    def ask(self, argv, *, limit):
        return self.change(argv)

    def change(self, argv):
        tool = argv[0].rpartition("/")[2]
        if self.fails and tool == self.fails[0]:
            return Ran(tuple(argv), 5, "", self.fails[1])
        if tool == "lvs":
            return Ran(tuple(argv), 0, json.dumps({"report": [{"lv": self.rows}]}), "")
        if tool == "vgs":
            seen = [{name: row[name] for name in row if name.startswith("vg_")} for row in self.rows[:1]]
            return Ran(tuple(argv), 0, json.dumps({"report": [{"vg": seen}]}), "")
        if tool == "dmsetup":
            return Ran(tuple(argv), 0, self.suspended if "info" in argv else "", "")
        self.told.append([tool, *argv[1:]])
        if tool == "lvremove":
            chosen = argv[argv.index("-S") + 1]
            self.rows = [row for row in self.rows if f'lv_uuid="{row["lv_uuid"]}"' not in chosen]
        return Ran(tuple(argv), 0, "", "")


@pytest.fixture
def mine():
    return Ours("vg", GROUP, "data", ORIGIN, "holdstill-run-oooooo", "holdstill-run", SNAPSHOT)


def snapshot_row(mine, **other):
    return ROW | {
        "lv_name": mine.name,
        "lv_uuid": SNAPSHOT,
        "lv_attr": "sri-a-s---",
        "lv_role": "public,snapshot,thicksnapshot",
        "lv_tags": mine.tag,
        "origin": "data",
        "origin_uuid": ORIGIN,
        **other,
    }


def undo(tools, mine):
    return ours.undo(Lvm(tools), mine)


# --- giving back ---------------------------------------------------------------------------------


def test_ours_is_removed_and_by_all_that_proves_it(mine):
    tools = Tools(ROW, snapshot_row(mine))

    assert undo(tools, mine).state is UndoState.REMOVED
    ((tool, *words),) = tools.told
    assert tool == "lvremove"
    assert f'lv_uuid="{SNAPSHOT}" && lv_name="{mine.name}" && lv_tags="{mine.tag}"' in words


def test_what_a_failed_lvcreate_leaves_is_removed(mine):
    """An ordinary volume with our name and tag and without an origin; its UUID was never written down."""
    debris = snapshot_row(mine, lv_attr="-wi-i-----", lv_role="public", origin="", origin_uuid="")
    assert undo(Tools(ROW, debris), attrs.evolve(mine, uuid="")).state is UndoState.REMOVED
    assert undo(Tools(ROW, debris), mine).state is UndoState.REFUSED


@pytest.mark.parametrize(
    ("other", "state"),
    [
        ({"lv_tags": ""}, UndoState.REFUSED),
        ({"lv_tags": "", "lv_uuid": "x" * 38}, UndoState.ABSENT),
        ({"lv_name": "holdstill-run-ooooooo"}, UndoState.REFUSED),
        ({"lv_attr": "owi-a-s---"}, UndoState.REFUSED),
        ({"origin_uuid": "y" * 38}, UndoState.REFUSED),
    ],
    ids=["its tag is gone", "a look-alike", "renamed", "others hang on it", "of another volume"],
)
def test_what_is_not_provably_ours_stays(mine, other, state):
    tools = Tools(ROW, snapshot_row(mine, **other))

    assert undo(tools, mine).state is state
    assert tools.told == []


def test_absent_is_said_of_what_lvm_knows_nothing_of(mine):
    assert undo(Tools(ROW), mine).state is UndoState.ABSENT


def test_a_group_that_is_not_seen_is_not_gone(mine):
    assert undo(Tools(), mine).state is UndoState.UNKNOWN


def test_that_lvm_cannot_be_asked_is_not_gone(mine):
    with pytest.raises(VolumeUnusable, match="LVM cannot be asked"):
        undo(Tools(ROW, fails=("lvs", "  Can't get lock for vg.")), mine)


def test_busy_is_told(mine):
    busy = Tools(ROW, snapshot_row(mine), fails=("lvremove", "  Logical volume vg/x in use."))
    assert undo(busy, mine).state is UndoState.BUSY
    odd = Tools(ROW, snapshot_row(mine), fails=("lvremove", "  Something else."))
    assert undo(odd, mine).state is UndoState.UNKNOWN


def test_what_lvm_removes_only_when_it_is_told_again_is_removed(mine):
    """Recorded after a killed ``lvcreate`` of a thin snapshot."""
    tools = Tools(ROW, snapshot_row(mine), fails=("lvremove", "  Cannot deactivate logical volume vg/x."))
    tools_change = tools.change

    def change(argv):
        answer = tools_change(argv)
        if argv[0].endswith("lvremove"):
            tools.fails = None
        return answer

    tools.change = change

    assert undo(tools, mine).state is UndoState.REMOVED
    assert len(tools.told) == 1


def test_only_what_hangs_on_the_origin_is_resumed(mine):
    prefix, other = mapped(GROUP, ORIGIN), mapped(GROUP, "z" * 38)
    tools = Tools(ROW, suspended=f"{prefix}-real Suspended vg-data-real\n{other} Suspended vg-other\n")
    resumed = []
    tools_change = tools.change
    tools.change = lambda argv: (resumed.append(argv[2]) if "resume" in argv else None, tools_change(argv))[1]

    assert undo(tools, mine).state is UndoState.ABSENT
    assert resumed == ["vg-data-real"]


def test_what_lvm_suspends_with_the_origin_is_resumed_too(mine):
    """A snapshot of somebody else's, which a killed ``lvcreate`` has left suspended."""
    other = snapshot_row(mine, lv_name="theirs", lv_uuid="t" * 38, lv_tags="")
    elsewhere = {**other, "lv_uuid": "e" * 38, "origin_uuid": "y" * 38}
    thin = {**other, "lv_uuid": "v" * 38, "lv_attr": "Vwi-a-tz--", "lv_layout": "thin,sparse"}
    told = "".join(
        f"{mapped(GROUP, row['lv_uuid'])} Suspended {row['lv_uuid'][0]}\n" for row in (other, elsewhere, thin)
    )
    tools = Tools(ROW, other, elsewhere, thin, suspended=told)
    resumed = []
    tools_change = tools.change
    tools.change = lambda argv: (resumed.append(argv[2]) if "resume" in argv else None, tools_change(argv))[1]

    assert undo(tools, mine).state is UndoState.ABSENT
    assert resumed == ["t"]


# --- space ---------------------------------------------------------------------------------------


def origin(size, free=1 << 20, extent=4 * MIB):
    group = Group("vg", GROUP, extent, free)
    row = {field.name: "" for field in attrs.fields(LogicalVolume)} | {"size": size, "group": group, "roles": ()}
    return LogicalVolume(**row | {"name": "data", "thin_id": -1, "transaction": -1, "chunk_size": 0})


@given(size=st.integers(1, 1 << 40), share=st.integers(1, 100))
def test_a_share_is_never_more_than_is_needed_and_all_of_it_is_enough(size, share):
    planned = space.planned(origin(size, free=1 << 60), f"{share}%")
    most = space.most_needed(size)

    assert planned.extents * 4 * MIB < most + 4 * MIB
    assert planned.extents >= 1
    assert planned.enough or share < 100


def test_the_rule_and_a_size():
    assert space.planned(origin(100 << 30), "").extents == 100 * 1024 * 15 // 100 // 4
    assert space.planned(origin(1 << 30), "").extents == 256 // 4
    assert space.planned(origin(8 * MIB), "").extents == 3  # all that it can need
    assert space.planned(origin(1 << 30), "512M").extents == 128


def test_a_shortage_names_need_have_and_group():
    with pytest.raises(NoProvider, match="needs 512 MiB in volume group vg, and 40 MiB are free"):
        space.planned(origin(1 << 30, free=10), "512M")


# --- what the kernel says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "fill"),
    [
        (("3104/32768", "24"), Fill(3104 * 512, 32768 * 512)),
        (("Invalid",), None),
        (("Overflow",), None),
        (("Merge", "failed"), None),
    ],
)
def test_the_fill_of_a_snapshot(words, fill):
    assert mapper.snapshot_fill(Status("snapshot", words)) == fill


def pool(text):
    return mapper.pool_status(Status("thin-pool", tuple(text.split())), 65536)


def test_the_state_of_a_pool():
    good = pool("2 117/1024 391/3200 - rw discard_passdown queue_if_no_space - 256")
    assert (good.trouble, good.held_root, good.transaction) == (None, "-", 2)
    assert (good.metadata, good.data) == (Fill(117 * 4096, 1024 * 4096), Fill(391 * 65536, 3200 * 65536))
    assert pool("2 117/1024 391/3200 68 rw discard_passdown queue_if_no_space - 256").held_root == "68"
    assert "(ro)" in pool("2 117/1024 391/3200 - ro discard_passdown queue_if_no_space - 256").trouble
    assert "check" in pool("2 117/1024 391/3200 - ro discard_passdown queue_if_no_space needs_check 256").trouble
    assert "out_of_data_space" in pool("2 1/1024 3200/3200 - out_of_data_space no_discard_passdown - - 256").trouble
    assert "(Fail)" in pool("Fail").trouble


def test_what_thin_delta_prints():
    xml = """<superblock uuid="" time="2" transaction="3" data_block_size="128" nr_data_blocks="0">
  <diff left="2" right="1">
    <same begin="0" length="4"/>
    <different begin="4" length="1"/>
    <left_only begin="5" length="2"/>
    <same begin="7" length="1"/>
    <right_only begin="8" length="1"/>
  </diff>
</superblock>"""
    assert delta._runs(xml, 65536) == Extents.of((4 * 65536, 3 * 65536), (8 * 65536, 65536))
    assert not delta._runs("<superblock></superblock>", 65536)


# --- names ---------------------------------------------------------------------------------------


def test_uuids_there_and_back():
    assert unmapped(mapped(GROUP, ORIGIN)) == (GROUP, ORIGIN)
    assert unmapped(mapped(GROUP, ORIGIN) + "-real") is None
    assert unmapped("CRYPT-LUKS2-x") is None
    assert hyphened("a" * 32) == GROUP


@given(run=st.text(min_size=1))
def test_names_are_what_lvm_takes(run):
    name = Ours.of(origin(1 << 30), run).name
    assert len(name) < 100
    assert all(letter.isascii() and (letter.isalnum() or letter in ".-") for letter in name)


# --- the hook ------------------------------------------------------------------------------------


def test_other_volumes_are_left_to_others_and_nothing_is_started():
    tools = Tools()
    with pytest.raises(NoProvider, match="no logical volume of LVM2"):
        plugin.snapshot(MemoryVolume(b"x" * 4096), HoldRequest("run", RecordedHolds(), runner=tools))
    assert tools.told == []


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ("wz--nc", "its volume group is shared with other hosts"),
        ("wz--ns", "its volume group is shared with other hosts"),
        ("wzx-n-", "its volume group is exported"),
        ("rz--n-", "its volume group is read-only"),
    ],
)
def test_a_group_that_takes_no_snapshot_is_told_and_nothing_is_held(attributes, reason):
    made, holds = MemoryVolume(b"x" * 4096), RecordedHolds()
    made.facts = attrs.evolve(made.facts, facts={"dm_uuid": mapped(GROUP, ORIGIN)})
    with pytest.raises(NoProvider, match=reason):
        plugin.snapshot(made, HoldRequest("run", holds, runner=Tools({**ROW, "vg_attr": attributes})))
    assert holds.lines == []


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{**ROW, "lv_attr": "Owi-a-s---"}], "a snapshot is being merged into it"),
        ([{**ROW, "lv_attr": "-wI-ao----"}], "it is being moved"),
        ([{**ROW, "lv_attr": "-wi-s-----"}], "it is suspended, and not by us"),
        ([{**ROW, "lv_attr": "-wi-------"}], "it is not in a usable state"),
        ([{**ROW, "lv_role": "private,vdo,pool", "lv_layout": "vdo,pool"}], "it is a hidden part of another volume"),
        (
            [ROW, ROW | {"lv_uuid": SNAPSHOT, "lv_name": "theirs", "lv_attr": "swi-s-s---", "origin_uuid": ORIGIN}],
            "its snapshot theirs is suspended, and not by us",
        ),
    ],
)
def test_a_volume_that_takes_no_snapshot_is_told_and_nothing_is_held(rows, reason):
    made, holds = MemoryVolume(b"x" * 4096), RecordedHolds()
    made.facts = attrs.evolve(made.facts, facts={"dm_uuid": mapped(GROUP, ORIGIN)})
    with pytest.raises(NoProvider, match=reason):
        plugin.snapshot(made, HoldRequest("run", holds, runner=Tools(*rows)))
    assert holds.lines == []


def test_what_lvm_refuses_of_a_vdo_volume_is_told_in_its_words(mine):
    """Its kernel module is no part of Linux before 6.9."""
    made, holds = MemoryVolume(b"x" * 4096), RecordedHolds()
    made.facts = attrs.evolve(made.facts, facts={"dm_uuid": mapped(GROUP, ORIGIN)})
    row = ROW | {"lv_attr": "vwi-a-v---", "lv_layout": "vdo,sparse"}
    words = "  vdo: Required device-mapper target(s) not detected in your kernel."
    with pytest.raises(VolumeUnusable, match=r"LVM makes no snapshot of it: vdo: Required device-mapper target"):
        plugin.snapshot(made, HoldRequest("run", holds, runner=Tools(row, fails=("lvcreate", words))))
    assert [line.open for line in holds.lines] == [False]


def test_it_undoes_its_own_kinds_only():
    assert plugin.undo("static_unmount.frozen", 1, {}, Tools()) is None
    assert plugin.undo("lvm2.snapshot", 9, {}, Tools()).state is UndoState.UNKNOWN
    assert plugin.undo("lvm2.later", 1, {}, Tools()).state is UndoState.UNKNOWN
