"""The simulated AIX treats logical volumes and snapshots as its documents say (AIX commands reference, snapshot)."""

import pytest

from holdstill_testing.unix.jfs2 import EXTERNAL, INTERNAL
from holdstill_testing.unix.jfs2_world import PLACE, World
from holdstill_testing.unix.runner import SimulatedRunner


@pytest.fixture
def world():
    return World()


def change(world, *words):
    return SimulatedRunner(world.host).change(words)


def external(world, name):
    made = change(world, "mklv", "-t", "jfs2", "-y", name, "-L", "label", "datavg", "1")
    return made.ok and change(world, "snapshot", "-o", f"snapfrom={PLACE}", f"/dev/{name}").ok


def names(world):
    return [each.name for each in world.fs.snapshots]


def test_to_delete_one_deletes_all_older_ones_and_their_volumes(world):
    assert all(external(world, name) for name in ("one", "two", "three"))
    free = world.group.free

    assert change(world, "snapshot", "-d", "/dev/two").ok

    assert names(world) == ["three"]
    assert {"one", "two", "three"} & set(world.system.volumes) == {"three"}
    assert world.group.free == free + 2
    assert not change(world, "snapshot", "-d", "/dev/two").ok


def test_both_kinds_exclude_each_other_and_internal_ones_need_a_file_system_made_for_them():
    assert not change(World(), "snapshot", "-o", f"snapfrom={PLACE}", "-n", "x").ok
    world = World(internal=True)
    assert change(world, "snapshot", "-o", f"snapfrom={PLACE}", "-n", "x").ok
    assert not external(world, "one")
    assert change(world, "snapshot", "-d", "-n", "x", PLACE).ok
    assert external(world, "two")
    assert not change(world, "snapshot", "-o", f"snapfrom={PLACE}", "-n", "x").ok


@pytest.mark.parametrize(("internal", "most"), [(False, EXTERNAL), (True, INTERNAL)])
def test_there_are_only_so_many(internal, most):
    world = World(internal=internal)
    world.group.free = 200

    def make(number):
        if internal:
            return change(world, "snapshot", "-o", f"snapfrom={PLACE}", "-n", f"n{number}").ok
        return external(world, f"n{number}")

    assert all(make(number) for number in range(most))
    assert not make(most)


def test_one_that_runs_full_spoils_all(world):
    assert external(world, "one")
    assert external(world, "two")
    world.fs.snapshots[1].room = 5
    world.fs.write(4, bytes(4096))
    assert all(each.valid for each in world.fs.snapshots)

    world.fs.write(6, bytes(4096))

    assert not any(each.valid for each in world.fs.snapshots)
    assert change(world, "snapshot", "-q", PLACE).out.count("INVALID") == 2
    assert change(world, "snapshot", "-d", "/dev/two").ok
    assert "has no snapshots" in change(world, "snapshot", "-q", PLACE).out


def test_the_newest_keeps_what_is_overwritten_once(world):
    assert external(world, "one")
    old = bytes(world.fs.volume.content[4 * 4096 : 5 * 4096])
    world.fs.write(4, b"\x01" * 4096)
    world.fs.write(4, b"\x02" * 4096)
    world.fs.write(5, b"\x03" * 4096)

    (kept,) = world.fs.snapshots
    assert list(kept.moved) == [4], "once, and nothing of what was free"
    assert kept.store[kept.moved[4] * 4096 :][:4096] == old
    assert external(world, "two")
    world.fs.write(6, b"\x04" * 4096)
    assert list(world.fs.snapshots[0].moved) == [4]
    assert list(world.fs.snapshots[1].moved) == [6]


def test_a_volume_with_a_snapshot_in_it_is_not_removed_and_names_are_short(world):
    assert external(world, "one")
    assert not change(world, "rmlv", "-f", "one").ok
    assert not change(world, "rmlv", "-f", "fslv00").ok, "it is mounted"
    assert not change(world, "mklv", "-t", "jfs2", "-y", "one", "-L", "x", "datavg", "1").ok
    assert not change(world, "mklv", "-t", "jfs2", "-y", "a" * 16, "-L", "x", "datavg", "1").ok
    assert not change(world, "mklv", "-t", "jfs2", "-y", "two", "-L", "x", "datavg", "999").ok


def test_what_is_not_frozen_is_not_frozen_for_longer(world):
    assert not change(world, "chfs", "-a", "refreeze=9", PLACE).ok
    assert change(world, "chfs", "-a", "freeze=9", PLACE).ok
    world.host.pass_time(8)
    assert change(world, "chfs", "-a", "refreeze=9", PLACE).ok
    world.host.pass_time(8)
    assert not world.host.can_write(PLACE)
    world.host.pass_time(1)
    assert world.host.can_write(PLACE)
