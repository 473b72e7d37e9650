"""A volume that is not active, and becomes that again: what is decided on what LVM and the kernel say."""

from __future__ import annotations

import json

import pytest

from holdstill.errors import LeftHeld, VolumeUnusable
from holdstill.spi.holds import UndoState
from holdstill.spi.runner import Ran, Runner
from holdstill.spi.still import HoldRequest
from holdstill_lvm2 import activating, plugin
from holdstill_testing.fakes.recorded_holds import RecordedHolds

GROUP = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
VOLUME = "oooooo-oooo-oooo-oooo-oooo-oooo-oooooo"


class Host(Runner):
    """One volume, which ``lvchange`` wakes and puts to sleep, with another device number each time."""

    def __init__(self, *, active=False, busy=False, wakes=True, exported=False, seen=True, **row):
        self.active = active
        self.busy = busy
        self.wakes = wakes
        self.exported = exported
        self.seen = seen
        self.row = row
        self.minor = 7
        self.told = []

    def ask(self, argv, *, limit):
        return self.change(argv)

    def change(self, argv):
        tool = argv[0].rpartition("/")[2]
        answer = getattr(self, tool)(argv)
        return answer if isinstance(answer, Ran) else Ran(tuple(argv), 0, answer, "")

    def lvs(self, argv):
        rows = [] if self.exported or not self.seen else [self._row()]
        return json.dumps({"report": [{"lv": rows}]})

    def vgs(self, argv):
        if "vg_exported" in argv:
            return "  exported\n" if self.exported else "\n"
        rows = [{name: value for name, value in self._row().items() if name.startswith("vg_")}]
        return json.dumps({"report": [{"vg": rows if self.seen else []}]})

    def lvchange(self, argv):
        self.told.append(argv[1:])
        wanted = argv[argv.index("--activate") + 1] == "y"
        if (wanted and not self.wakes) or (not wanted and self.busy):
            return Ran(tuple(argv), 5, "", "  Logical volume vg/data in use.")
        self.minor += wanted and not self.active
        self.active = wanted
        return ""

    def dmsetup(self, argv):
        if not self.active:
            return Ran(tuple(argv), 1, "", "Device does not exist.")
        return f"999:{self.minor}\n" if "info" in argv else "0 8 linear\n"

    def _row(self):
        row = dict.fromkeys(
            ("lv_tags", "origin", "origin_uuid", "pool_lv", "pool_lv_uuid", "thin_id", "transaction_id"), ""
        )
        return row | {
            "lv_name": "data",
            "vg_name": "vg",
            "lv_uuid": VOLUME,
            "vg_uuid": GROUP,
            "lv_attr": "-wi-a-----" if self.active else "-wi-------",
            "lv_size": "8388608",
            "lv_role": "public",
            "lv_layout": "linear",
            "lv_dm_path": "/dev/mapper/vg-data",
            "chunk_size": "0",
            "lv_active": "",
            "vg_attr": "wz--n-",
            "vg_extent_size": "4194304",
            "vg_free_count": "9",
            "vg_missing_pv_count": "0",
            **self.row,
        }


@pytest.fixture
def holds():
    return RecordedHolds()


@pytest.fixture
def activate(holds, monkeypatch):
    monkeypatch.setattr(activating.time, "sleep", lambda seconds: None)
    return lambda host, path="/dev/vg/data": plugin.activate(path, HoldRequest("run", holds, runner=host))


def test_it_is_written_down_before_it_is_woken_and_put_back_by_its_uuid(activate, holds):
    host = Host()
    holds.before_hold = lambda data: (host.active is False) or pytest.fail("woken before it was written down")

    woken = activate(host)

    assert host.active
    assert holds.lines[0].data["sequence"] == "999:8"
    woken.put_back()
    assert not host.active
    assert host.told[-1] == ("--activate", "n", "-S", f'lv_uuid="{VOLUME}"', "vg")
    assert not holds.lines[0].open


@pytest.mark.parametrize("path", ["/dev/vg", "/home/vg/data", "/dev/vg/data/x", '/dev/vg/da"ta', "/dev/vg/-data"])
def test_what_is_no_path_of_a_volume_is_nobodys(activate, path):
    assert activate(Host(), path) is None


@pytest.mark.parametrize("host", [Host(active=True), Host(seen=False)], ids=["awake", "unknown"])
def test_who_is_awake_or_unknown_is_not_woken(activate, holds, host):
    assert activate(host) is None
    assert (host.told, holds.lines) == ([], [])


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (Host(exported=True), "its volume group is exported"),
        (Host(vg_attr="wz-pn-", vg_missing_pv_count="2"), "2 disks of its volume group are missing"),
        (Host(vg_attr="wz--ns"), "its volume group is shared with other hosts"),
        (Host(lv_role="private,thin,pool"), "it is a hidden part of another volume"),
        (Host(lv_role="public,snapshot,thicksnapshot"), "only together with its origin"),
    ],
)
def test_what_must_not_be_woken_is_told(activate, holds, host, reason):
    with pytest.raises(VolumeUnusable, match=reason):
        activate(host)
    assert (host.told, holds.lines) == ([], [])


def test_that_lvm_cannot_wake_it_is_told_and_nothing_stays_written_down(activate, holds):
    with pytest.raises(VolumeUnusable, match="in use"):
        activate(Host(wakes=False))
    assert not holds.lines[0].open


def test_a_journal_that_fails_when_it_is_awake_puts_it_back(activate, holds):
    holds.fail_at, host = 2, Host()
    with pytest.raises(OSError, match="journal"):
        activate(host)
    assert not host.active


def test_somebody_who_uses_it_keeps_it_awake(activate, holds):
    host = Host()
    woken = activate(host)
    host.busy = True
    with pytest.raises(
        LeftHeld, match="vg/data: it was not active before, and is still active now: Logical volume vg/data in use"
    ):
        woken.put_back()
    assert holds.lines[0].open


def test_that_lvm_cannot_be_asked_is_told_and_it_stays_written_down(activate, holds):
    host = Host()
    woken = activate(host)
    host.lvs = lambda argv: Ran(tuple(argv), 5, "", "  Can't get lock for vg.")
    with pytest.raises(LeftHeld, match="cannot tell what is left: LVM cannot be asked: Can't get lock"):
        woken.put_back()
    assert holds.lines[0].open


# --- undone by another run --------------------------------------------------------------------------


def left(activate, holds, host):
    activate(host)
    return holds.lines[0].data


def undo(host, data):
    return plugin.undo(activating.KIND, activating.VERSION, data, host)


def test_what_a_killed_run_woke_is_put_to_sleep(activate, holds):
    host = Host()
    data = left(activate, holds, host)
    assert undo(host, data).state is UndoState.REMOVED
    assert undo(host, data).state is UndoState.ABSENT
    assert not host.active


def test_also_if_it_was_killed_before_it_knew_which_device_that_is(activate, holds):
    host = Host()
    data = left(activate, holds, host)
    del data["sequence"]
    assert undo(host, data).state is UndoState.REMOVED


def test_who_was_woken_anew_by_somebody_else_stays_awake(activate, holds):
    host = Host()
    data = left(activate, holds, host)
    host.active, host.minor = True, 70
    assert undo(host, data).state is UndoState.ABSENT
    assert host.active


def test_so_does_who_was_woken_by_a_start_of_the_host(activate, holds):
    host = Host()
    data = left(activate, holds, host) | {"boot": "another"}
    assert undo(host, data).state is UndoState.ABSENT
    assert host.active


def test_a_group_that_is_not_seen_is_not_asleep(activate, holds):
    host = Host()
    data = left(activate, holds, host)
    host.seen = False
    assert undo(host, data).state is UndoState.UNKNOWN


def test_a_version_of_later_is_left_alone():
    assert plugin.undo(activating.KIND, 9, {}, Host()).state is UndoState.UNKNOWN
