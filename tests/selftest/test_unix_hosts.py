"""The simulated hosts behave as their documents say, and what nobody can cite is on the page of the unproven."""

import itertools
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.unix import unproven
from holdstill_testing.unix.aix import Aix
from holdstill_testing.unix.host import Death, Fault, Host, Mounted
from holdstill_testing.unix.hpux import HpUx
from holdstill_testing.unix.runner import SimulatedRunner
from holdstill_testing.unix.solaris import Solaris
from holdstill_testing.unix.texts import Text

LISTING = {"AIX": ("mount",), "HP-UX": ("mount", "-v"), "Solaris": ("cat", "/etc/mnttab")}
SYSTEMS = [Aix, HpUx, Solaris]


def made(system):
    """One host: a root that is always busy, a file system with another below it, and one alone."""
    kind = {"AIX": "jfs2", "HP-UX": "vxfs", "Solaris": "ufs"}[system.name]
    table = [
        Mounted("/dev/root", "/", kind, "rw"),
        Mounted("/dev/data", "/data", kind, "rw,log=INLINE"),
        Mounted("/dev/deep", "/data/deep", kind, "rw"),
        Mounted("/dev/home", "/home", kind, "rw"),
    ]
    return Host(system, table, [Mounted(each.device, each.place, each.kind, each.options) for each in table])


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.name)
def host(request):
    return made(request.param())


def change(host, *words):
    return SimulatedRunner(host).change(words)


def ask(host, *words):
    return SimulatedRunner(host).ask(words, limit=1)


def test_the_mount_table_says_what_is_mounted_where_and_how(host):
    words = [line.split() for line in ask(host, *LISTING[host.system.name]).out.splitlines()]

    rows = [line for line in words if any("/dev/data" in word for word in line)]
    assert len(rows) == 1
    assert {"/dev/data", "/data"} <= set(rows[0])
    assert any(word.startswith("rw,log=INLINE") for word in rows[0])
    assert {"AIX": 7, "HP-UX": 12, "Solaris": 5}[host.system.name] == len(rows[0])
    assert change(host, "umount", "/home").ok
    assert "/home" not in ask(host, *LISTING[host.system.name]).out


def test_what_is_used_stays_and_says_who(host):
    host.users["/home"] = {4711, 12}

    ran = change(host, "umount", "/home")

    assert not ran.ok
    assert "busy" in ran.said.lower()
    assert ask(host, "fuser", "-c", "/home").out.split() == ["12", "4711"]
    assert host.can_write("/home")
    host.users.clear()
    assert change(host, "umount", "/dev/home").ok


def test_what_has_something_mounted_below_stays(host):
    assert not change(host, "umount", "/data").ok
    assert change(host, "umount", "/data/deep").ok
    assert change(host, "umount", "/data").ok


def test_read_only_by_a_new_mount_and_back(host):
    kind = host.at("/home").kind
    change(host, "umount", "/home")

    assert change(host, "mount", "-F", kind, "-o", "ro", "/dev/home", "/home").ok
    assert not host.can_write("/home")
    assert not change(host, "mount", "/home").ok, "its device is mounted"
    assert change(host, "umount", "/home").ok
    assert change(host, "mount", "/home").ok, "by its name alone, as the table says"
    assert host.can_write("/home")
    assert not change(host, "mount", "/nothing").ok


def test_none_of_them_is_remounted_read_only(host):
    ran = change(host, "mount", "-F", host.at("/home").kind, "-o", "remount,ro", "/dev/home", "/home")

    assert not ran.ok
    assert host.can_write("/home")


def test_of_several_options_only_the_last_counts():
    host = made(HpUx())
    change(host, "umount", "/home")

    assert change(host, "mount", "-F", "vxfs", "-o", "ro", "-o", "largefiles", "/dev/home", "/home").ok
    assert host.can_write("/home")


def test_a_freeze_ends_by_itself_and_by_command():
    host = made(Aix())

    assert change(host, "chfs", "-a", "freeze=60", "/home").ok
    assert not host.can_write("/home")
    assert not change(host, "chfs", "-a", "freeze=60", "/home").ok
    assert not change(host, "umount", "/home").ok
    host.pass_time(59)
    assert not host.can_write("/home")
    host.pass_time(1)
    assert host.can_write("/home")
    change(host, "chfs", "-a", "freeze=60", "/home")
    assert change(host, "chfs", "-a", "freeze=off", "/home").ok
    assert host.can_write("/home")


def test_a_write_lock_has_no_end_of_its_own():
    host = made(Solaris())

    assert change(host, "lockfs", "-w", "/home").ok
    host.pass_time(10**6)
    assert not host.can_write("/home")
    assert "/home" in ask(host, "lockfs", "/home").out
    assert change(host, "lockfs", "-u", "/home").ok
    assert host.can_write("/home")
    assert "/home" not in ask(host, "lockfs", "/home").out
    assert not change(host, "lockfs", "-w", "/nothing").ok


def test_what_becomes_of_a_command_that_fails_lies_or_hangs(host):
    table = LISTING[host.system.name]
    host.faults = {1: Fault.FAILS, 2: Fault.LIES, 3: Fault.HANGS, 4: Fault.HANGS}

    assert not change(host, "umount", "/home").ok
    assert host.at("/home") is not None
    assert not change(host, "umount", "/home").ok
    assert host.at("/home") is None
    assert ask(host, *table).timed_out
    assert change(host, "mount", "/home").ok, "a change is waited for"
    assert ask(host, "no-such-command").code == 127
    assert [call[0] for call in host.calls] == ["umount", "umount", table[0], "mount", "no-such-command"]


PLACES = ["/", "/data", "/data/deep", "/home"]
STEPS = st.one_of(
    st.tuples(st.just("umount"), st.sampled_from(PLACES)),
    st.tuples(st.just("mount"), st.sampled_from(PLACES)),
    st.tuples(st.just("mount"), st.just("-r"), st.sampled_from(PLACES)),
)


@given(
    st.sampled_from(SYSTEMS),
    st.lists(STEPS, max_size=20),
    st.dictionaries(st.integers(1, 20), st.sampled_from([*Fault, *Death])),
)
def test_whatever_is_done_and_goes_wrong_the_host_stays_one_that_can_be(system, steps, faults):
    host = made(system())
    host.users["/"] = {1}
    host.faults = faults
    for step in steps:
        before = [mounted.device for mounted in host.mounted]
        host.dead = False
        try:
            ran = change(host, *step)
        except Killed:
            ran = None
        fault = faults.get(len(host.calls))
        after = [mounted.device for mounted in host.mounted]
        assert len(after) == len(set(after)), "a device is mounted once"
        assert host.at("/") is not None, "what is used is not unmounted"
        if fault in (Fault.FAILS, Death.BEFORE):
            assert after == before
            assert not (ran and ran.ok)
        elif ran and ran.ok:
            assert after != before


def test_every_text_is_cited_or_can_be_settled():
    assert {text.system for text in unproven.TEXTS if text.recalled} == {"AIX", "HP-UX", "Solaris"}
    for one, other in itertools.combinations(unproven.TEXTS, 2):
        assert (one.system, one.when) != (other.system, other.when)
    with pytest.raises(ValueError, match="cited"):
        Text(system="AIX", when="ls", template="")
    with pytest.raises(ValueError, match="cited"):
        Text(system="AIX", when="ls", template="", source="a page", settled_by="ls")


def test_the_page_has_every_recalled_text():
    page = (Path(__file__).parents[2] / "docs/explanation/unproven.md").read_text()

    assert page == unproven.page(), "python -m holdstill_testing.unix.unproven writes it"


def test_the_list_of_the_check_is_the_page():
    entries = resources.files("holdstill_platforms.checks").joinpath("recalled.json").read_text()

    assert entries == unproven.entries(), "python -m holdstill_testing.unix.unproven entries writes it"
