"""What is taken for so, asked of simulated hosts and of this one."""

import sys

import attrs
import pytest

from holdstill.pipeline.away import asking
from holdstill.spi.checks import Settled
from holdstill.spi.runner import Ran, Runner
from holdstill_platforms import plugin
from holdstill_platforms.checks import recalled
from holdstill_testing.unix.host import Fault
from holdstill_testing.unix.worlds import SYSTEMS, SimulatedMachine, world


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.name)
def machine(request):
    return SimulatedMachine(world(request.param))


def settled(machine):
    return plugin.check_host(runner=machine.runner, machine=machine)


def test_a_host_that_is_as_it_is_recalled(machine):
    table, *others = settled(machine)

    assert (table.settled, table.found) == (Settled.AS_TAKEN, "4 rows")
    assert any(check.settled is Settled.AS_TAKEN for check in others)
    assert all(check.found for check in others if check.settled is not Settled.UNASKED)


def test_nothing_is_changed_by_asking(machine, monkeypatch):
    monkeypatch.setattr(type(machine.runner), "change", lambda *_: pytest.fail("it would change something"))
    before = [attrs.astuple(each) for each in machine.host.mounted]

    settled(machine)

    assert [attrs.astuple(each) for each in machine.host.mounted] == before
    assert {call[0] for call in machine.host.calls}.isdisjoint({"umount", "fssnap", "chfs", "mklv", "rmlv"})
    assert not any(word in ("-w", "-o") for call in machine.host.calls for word in call)


def test_a_host_that_is_otherwise_is_told_with_all_that_it_said(machine):
    machine.host.faults = {1: Fault.BABBLES, **dict.fromkeys(range(2, 100), Fault.HANGS)}

    table, *others = [check for check in settled(machine) if check.settled is not Settled.UNASKED]

    assert "%%%" in table.found
    assert {check.settled for check in (table, *others)} == {Settled.OTHERWISE}
    assert {check.found for check in others} == {"took too long and was ended"}


def test_what_changes_something_is_for_a_person(machine):
    unasked = [check for check in settled(machine) if check.settled is Settled.UNASKED]

    assert any("umount" in check.command for check in unasked)
    assert all(check.found == "" and check.code is None for check in unasked)


@pytest.mark.parametrize(
    ("printed", "code", "is_it"),
    [
        ("LV Size (Mbytes)            512\n", 0, True),
        ("LV   Size (Mbytes) 7", 0, True),
        ("LV Size (Mbytes) 512", 1, False),
        ("Taille du LV 512", 0, False),
    ],
)
def test_it_is_the_words_that_count(printed, code, is_it):
    entry = {
        "system": "HP-UX",
        "when": "lvdisplay",
        "taken": "LV Size (Mbytes)   {size}",
        "code": "0",
        "asked": "lvdisplay /dev/vg00/lvol3",
        "by_hand": "",
    }

    class Saying(Runner):
        def ask(self, argv, *, limit):
            return Ran(tuple(argv), code, printed, "")

        def change(self, argv):
            raise AssertionError

    (check,) = recalled._settle(entry, [], Saying())
    assert (check.settled is Settled.AS_TAKEN) is is_it


@pytest.mark.skipif(sys.platform != "linux", reason="of this Linux")
def test_this_linux_is_read_as_its_own_programs_read_it():
    for _ in range(10):  # other tests mount and unmount between the two looks
        checks = plugin.check_host(runner=asking(), machine=None)
        if {check.settled for check in checks} == {Settled.AS_TAKEN}:
            break

    assert [check.settled for check in checks] == [Settled.AS_TAKEN, Settled.AS_TAKEN], checks
    assert "/" in checks[0].taken.splitlines()
