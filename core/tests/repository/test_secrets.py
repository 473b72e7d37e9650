"""Passwords and keys are in no ``repr``, error or traceback, whatever is looked at."""

import base64
import gc
import traceback
from types import FunctionType, ModuleType

import pytest

from holdstill.errors import HoldstillError
from holdstill.repository.keys import Cost, Keys
from holdstill.repository.opening import create, open_repository
from holdstill.repository.standing import Standing
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.tiny import back_up, restored

PASSWORD = b"correct horse \xff battery"
CHEAP = Cost(n=2, r=1, p=1)


def forms(secret):
    """How one might show it."""
    encoded = (base64.b64encode(secret), base64.urlsafe_b64encode(secret), secret.hex().encode())
    texts = [each.decode().rstrip("=") for each in encoded]
    return [
        *texts,
        secret.hex().upper(),
        repr(secret)[2:-1],
        secret.decode("latin-1"),
        secret.decode("utf-8", "replace"),
    ]


def keys_of(repository):
    ring = repository.unlocked.ring
    private = (ring.ids, ring.index, ring.data, ring.opening, ring.signing)
    derived = [each for name, each in vars(repository.sealing).items() if name in {"_index", "_data", "_sent"}]
    return {key for key in (*private, *derived) if key}


def everything_that_shows_itself(roots):
    """What ``repr`` says of each object of ours that can be reached from these."""
    left, seen = [roots], set()
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        left += gc.get_referents(each)
        if type(each).__module__.partition(".")[0] == "holdstill":
            yield repr(each)


@pytest.mark.parametrize("write_only", [False, True])
def test_no_object_shows_a_key(write_only):
    target = MemoryTarget()
    full = create(target, password=PASSWORD, cost=CHEAP)
    keys = Keys(target, full.config)
    ring = full.unlocked.ring.for_a_writer() if write_only else full.unlocked.ring
    keys.add(ring, b"another" + PASSWORD, "label", full.sealing, CHEAP)
    repository = open_repository(target, lambda: b"another" + PASSWORD)
    alive = [
        back_up(repository, "abc"),
        back_up(full, "abcd"),
        Standing(full),
        full.blobs(),
        keys,
        keys.all(full.sealing),
    ]
    assert restored(full, alive[1])
    alive.append(repository.begin("host"))
    shown = "\n".join(everything_that_shows_itself([full, repository, *alive]))
    assert "Keyring(" in shown
    assert "WriterSession" in shown
    secrets = {PASSWORD, *keys_of(full), *keys_of(repository)}
    assert len(secrets) >= 7
    assert [form for secret in secrets for form in forms(secret) if form in shown] == []


def test_no_error_and_no_traceback_shows_one():
    target = MemoryTarget()
    full = create(target, password=PASSWORD, cost=CHEAP)
    image = back_up(full, "abc")
    secrets = {PASSWORD, *keys_of(full)}
    told = []
    for key, whole in list(target.objects.items()):
        for broken in (whole[:-1], whole[:40] + bytes(1) + whole[41:], b"", whole[:80]):
            target.objects[key] = broken
            try:
                again = open_repository(target, lambda: PASSWORD)
                restored(again, again.find(image.id))
                Standing(again)
            except HoldstillError as error:
                told += [*traceback.format_exception(error), repr(error), repr(vars(error)), error.next_step]
        target.objects[key] = whole
    for wrong in (b"", b"wrong" + PASSWORD, PASSWORD * 400):
        with pytest.raises(HoldstillError) as error:
            open_repository(target, lambda wrong=wrong: wrong)
        told += [*traceback.format_exception(error.value), repr(vars(error.value))]
    assert len(told) > 20
    assert [form for secret in secrets for form in forms(secret) if form in "\n".join(told)] == []
