"""Every call of every operation fails, hangs, tears or is answered late: the work is done, or a clear error told; and
nothing that was committed is lost.
"""

import datetime as dt
import threading

import attrs
import pytest

from holdstill.errors import HoldstillError, RepositoryError, TargetError
from holdstill.model.image import Image
from holdstill.model.requests import PruneRequest
from holdstill.repository.repository import Repository
from holdstill.repository.upkeep import prune
from holdstill.repository.verify import verify
from holdstill_storage.limited import Limited
from holdstill_storage.patience import Patience
from holdstill_storage.persistent import Persistent
from holdstill_testing.conversations import Agreeing
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.tiny import back_up, content, restored, store, tiny_config
from holdstill_testing.torture import dice, full
from holdstill_testing.vault import Vault

pytestmark = [pytest.mark.torture, pytest.mark.timeout(3600)]

FIRST, SECOND, NEXT = "abcdef.ghijk", "abcdXf.ghijk", "abcdXf.gYijkZ"


@pytest.fixture(scope="module")
def scene():
    """Objects of a repository with two images, and one forgotten; and its config."""
    memory = MemoryTarget()
    config = tiny_config(memory)
    repository = Repository(memory, config)
    for letters in (FIRST, SECOND):
        back_up(repository, letters)
    repository.forget(back_up(repository, "qrstuvwx"))
    return dict(memory.objects), config


def begin_backup(repository):
    back_up(repository, NEXT)


def restore(repository):
    for image in repository.images():
        assert restored(repository, image) == content(image.volume.path)


def check(repository):
    assert not verify(repository, None, read_data=True, tell=lambda _: None, cancelled=lambda: False).findings


def tidy(repository):
    prune(repository, PruneRequest(), Agreeing(), dt.datetime.now(dt.UTC))


def copy_in(repository):
    vault = Vault()
    if failed := vault.copy(vault.open(), repository, vault.image(NEXT)).failed:
        raise RepositoryError(failed)  # a run of copies tells of each image what kept it from being copied


def copy_out(repository):
    vault = Vault()
    for image in repository.images():
        assert not vault.copy(repository, vault.open(), image.id).failed
    vault.check()


OPERATIONS = {
    "backup": begin_backup,
    "resume": begin_backup,
    "restore": restore,
    "verify": check,
    "prune": tidy,
    "copy in": copy_in,
    "copy out": copy_out,
}
#: those after which there is one image more
ADDING = {"backup", "resume", "copy in"}


class Fast:
    """A clock that nobody waits for."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    def patience(self, limit=0.2):
        return Patience(limit=limit, clock=lambda: self.now, sleep=self.sleep)


def begun(scene, operation):
    """What the operation finds there; one that resumes finds half of what a killed run was to store."""
    objects, config = scene
    memory = MemoryTarget()
    memory.objects = dict(objects)
    if operation == "resume":
        repository = Repository(memory, config)
        store(repository, repository.begin("host"), NEXT[4:])
    return memory


def assert_nothing_is_lost(memory, config, *, also_next=False):
    repository = Repository(memory, config)
    found = [image.volume.path for image in repository.images(exact=True)]
    assert {FIRST, SECOND} <= set(found) <= {FIRST, SECOND, NEXT}
    assert not also_next or NEXT in found
    restore(repository)


def points(scene, operation):
    """After how many calls something may go wrong."""
    counting = FaultyTarget(begun(scene, operation))
    OPERATIONS[operation](Repository(counting, scene[1]))
    every = range(1, sum(counting.calls.values()) + 1)
    return list(every) if full() else sorted(dice(f"faulty {operation}").sample(every, min(5, len(every))))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
def test_a_fault_at_any_call_is_lived_through(scene, operation, fault, record_property):
    _, config = scene
    for at in (tried := points(scene, operation)):
        memory = begun(scene, operation)
        target = Persistent(FaultyTarget(memory, Planned(fault, "any", at)), Fast().patience())
        OPERATIONS[operation](Repository(target, config))
        assert_nothing_is_lost(memory, config, also_next=operation in ADDING)
    record_property("rounds", len(tried))
    record_property("faults", len(tried))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_call_that_hangs_and_is_carried_out_later_is_lived_through(scene, operation, record_property):
    _, config = scene
    for at in (tried := points(scene, operation)[::3]):
        memory = begun(scene, operation)
        faulty = FaultyTarget(memory, Planned(Fault.HANG, "any", at))
        patience = Fast().patience()
        target = Persistent(Limited(faulty, patience), patience)
        target.inner.properties = attrs.evolve(faulty.properties, largest=0)
        try:
            OPERATIONS[operation](Repository(target, config))
            assert_nothing_is_lost(memory, config, also_next=operation in ADDING)
        finally:
            faulty.release.set()
            for thread in threading.enumerate():
                if thread.name == "holdstill-target":
                    thread.join()
        assert_nothing_is_lost(memory, config, also_next=operation in ADDING)
    record_property("rounds", len(tried))
    record_property("faults", len(tried))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("every", [2, 5])
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
def test_a_fault_at_every_nth_call_is_lived_through(scene, operation, every, fault, record_property):
    _, config = scene
    memory = begun(scene, operation)
    planned = [Planned(fault, "any", at) for at in range(every, 3000, every)]
    target = Persistent(FaultyTarget(memory, *planned), Fast().patience())
    OPERATIONS[operation](Repository(target, config))
    assert_nothing_is_lost(memory, config, also_next=operation in ADDING)
    record_property("rounds", 1)
    record_property("faults", sum(target.inner.calls.values()) // every)


@pytest.mark.parametrize("operation", ["backup", "resume", "prune", "copy in"])
def test_a_torn_put_is_an_error_or_mended_and_never_believed(scene, operation, record_property):
    _, config = scene
    torn = [(verb, at) for verb in ("put", "put_if_absent") for at in range(1, 40)]
    torn = torn if full() else dice(f"torn {operation}").sample(torn, 8)
    for verb, at in torn:
        memory = begun(scene, operation)
        target = Persistent(FaultyTarget(memory, Planned(Fault.TEAR, verb, at)), Fast().patience())
        try:
            OPERATIONS[operation](Repository(target, config))
        except HoldstillError:
            images = (FIRST, SECOND)
        else:
            images = (FIRST, SECOND, NEXT) if operation in ADDING else (FIRST, SECOND)
        repository = Repository(memory, config)
        found = {image.volume.path: image for image in repository.images(on_damage=lambda _: None)}
        for letters in images:
            assert isinstance(found[letters], Image)
            assert restored(repository, found[letters]) == content(letters)
    record_property("rounds", len(torn))
    record_property("faults", len(torn))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_target_that_does_not_come_back_is_a_clear_error_in_the_end(scene, operation):
    _, config = scene
    memory, clock = begun(scene, operation), Fast()
    faulty = FaultyTarget(memory, *(Planned(Fault.FAIL, "any", at) for at in range(20, 4000)))
    with pytest.raises(TargetError, match="tried"):
        OPERATIONS[operation](Repository(Persistent(faulty, clock.patience()), config))
    assert clock.now >= 500
    assert_nothing_is_lost(memory, config)
