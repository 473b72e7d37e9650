"""What is in ``inside`` runs in a virtual machine, in two boots: with a udevd, and without one. Outside each test is
collected as usual, and told of as the machine told it.
"""

import os

import pytest

from holdstill_testing.machine.replay import LIMIT, Replay
from holdstill_testing.torture import full

#: so many machines share the tests that need no udevd
SIDE_BY_SIDE = min(2, os.cpu_count() or 1)
IN_THE_MACHINE = "HOLDSTILL_MACHINE" in os.environ


def pytest_configure(config):
    config.addinivalue_line("markers", "udevd: inside the machine, in the boot that runs a udevd")
    config.addinivalue_line(
        "markers", "slow(id): (with these parameters) no part of `make test`, but of `make torture`"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if IN_THE_MACHINE:
        return
    inside = [item for item in items if item.path.is_relative_to(_here(config) / "inside")]
    if config.args_source is config.ArgsSource.TESTPATHS and not full():
        # Emulation is slow. `make torture` has all of it, and whoever asks for tests/vm.
        later = [item for item in inside if _slow(item)]
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]
        inside = [item for item in inside if item not in later]
    for item in inside:
        item.add_marker(pytest.mark.timeout(LIMIT + 60))
    config.stash[BATCHES] = _batches(inside)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    """The machines boot before the first test, and work behind all others: those rarely keep two processors busy."""
    if not (IN_THE_MACHINE or session.config.option.collectonly):
        _replays(session.config)
    return (yield)


def _batches(inside):
    """The node ids that each machine runs, by the machine's name: machines run side by side."""
    batches = {"with-udevd": [item.nodeid for item in inside if item.get_closest_marker("udevd")]}
    others = [item.nodeid for item in inside if not item.get_closest_marker("udevd")]
    for number in range(SIDE_BY_SIDE):
        batches[f"without-udevd-{number}"] = others[number::SIDE_BY_SIDE]
    return {name: batch for name, batch in batches.items() if batch}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if IN_THE_MACHINE or not item.path.is_relative_to(_here(item.config) / "inside"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    (replay,) = [replay for replay in _replays(item.config) if item.nodeid in replay.batch]
    for report in replay.reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


BATCHES = pytest.StashKey()
REPLAYS = pytest.StashKey()


def _slow(item):
    mark = item.get_closest_marker("slow")
    return mark is not None and (not mark.args or item.callspec.id in mark.args)


def _here(config):
    return config.rootpath / "tests" / "vm"


def _replays(config):
    """Every machine; all of them boot when they are first asked for."""
    if REPLAYS not in config.stash:
        config.stash[REPLAYS] = []
        for name, batch in config.stash[BATCHES].items():
            folder = config._tmp_path_factory.mktemp(name)
            kind = name.rstrip("-0123456789")
            prepare = "".join((_here(config) / part).read_text() for part in ("prepare.sh", f"{kind}.sh"))
            replay = Replay(config, folder, prepare, batch)
            config.stash[REPLAYS].append(replay)
            replay.begin()
    return config.stash[REPLAYS]


def pytest_unconfigure(config):
    for replay in config.stash.get(REPLAYS, []):
        replay.end()
