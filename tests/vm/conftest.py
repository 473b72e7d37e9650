"""What is in ``inside`` runs in a virtual machine, in two boots: with a udevd, and without one. Outside each test is
collected as usual, and told of as the machine told it.
"""

import os

import pytest

from holdstill_testing.machine.replay import LIMIT, Replay
from holdstill_testing.torture import full

IN_THE_MACHINE = "HOLDSTILL_MACHINE" in os.environ


def pytest_configure(config):
    config.addinivalue_line("markers", "udevd: inside the machine, in the boot that runs a udevd")
    config.addinivalue_line("markers", "quick(id): (with these parameters) a part of every `make test`")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if IN_THE_MACHINE:
        return
    inside = [item for item in items if item.path.is_relative_to(_here(config) / "inside")]
    if config.args_source is config.ArgsSource.TESTPATHS and not full():
        # Emulation is slow: all of it takes half an hour. `make torture` has that, and whoever asks for tests/vm.
        later = [item for item in inside if not _quick(item)]
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]
        inside = [item for item in inside if item not in later]
    for item in inside:
        item.add_marker(pytest.mark.timeout(LIMIT + 60))
    config.stash[BATCHES] = {
        boot: [item.nodeid for item in inside if _boot(item) == boot] for boot in ("with-udevd", "without-udevd")
    }


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if IN_THE_MACHINE or not item.path.is_relative_to(_here(item.config) / "inside"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    replay = _replay(item.config, _boot(item))
    for report in replay.reports(item, item.config.stash[BATCHES][_boot(item)]):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


BATCHES = pytest.StashKey()
REPLAYS = pytest.StashKey()


def _quick(item):
    mark = item.get_closest_marker("quick")
    return mark is not None and (not mark.args or item.callspec.id in mark.args)


def _here(config):
    return config.rootpath / "tests" / "vm"


def _boot(item):
    return "with-udevd" if item.get_closest_marker("udevd") else "without-udevd"


def _replay(config, boot):
    replays = config.stash.setdefault(REPLAYS, {})
    if boot not in replays:
        folder = config._tmp_path_factory.mktemp(boot)
        prepare = "".join((_here(config) / name).read_text() for name in ("prepare.sh", f"{boot}.sh"))
        replays[boot] = Replay(config, folder, prepare)
    return replays[boot]
