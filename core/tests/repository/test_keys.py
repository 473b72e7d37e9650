"""Passwords and keys of a sealed repository: who gets in, what a hostile key may cost, what is never locked out."""

from __future__ import annotations

import contextlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import (
    Damaged,
    FormatTooNew,
    KeyMissing,
    LastKey,
    PasswordMissing,
    PasswordWrong,
    RepositoryError,
    UsageError,
)
from holdstill.repository import canonical, envelope, layout
from holdstill.repository.config import public_digest
from holdstill.repository.keys import Keys, _Wrapped
from holdstill.repository.layout import ObjectKind
from holdstill.repository.opening import open_repository
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.sealed import CHEAP, PASSWORD, make, open_again


def test_a_wrong_password_and_none_get_clear_answers(sealed, target):
    with pytest.raises(PasswordWrong, match="opens none of its 1 keys"):
        open_again(target, b"wrong")
    with pytest.raises(PasswordMissing):
        open_repository(target)
    with pytest.raises(UsageError, match="empty"):
        open_again(target, b"")
    for key in [key for key in target.objects if key.startswith("keys/")]:
        del target.objects[key]
    with pytest.raises(PasswordWrong, match="none of its keys is there"):
        open_again(target)


def test_the_keys_of_another_repository_open_nothing(sealed, target, keeper):
    keeper.backup(sealed, b"mine")
    other = MemoryTarget()
    make(other)
    (key,) = (key for key in other.objects if key.startswith("keys/"))
    target.objects = {name: content for name, content in target.objects.items() if not name.startswith("keys/")}
    target.objects[key] = other.objects[key]
    with pytest.raises(PasswordWrong):
        open_again(target)
    target.objects["config"] = other.objects["config"]
    with pytest.raises(Damaged):
        open_again(target).images()


def test_several_passwords_and_a_changed_one(sealed, target, keeper):
    image = keeper.backup(sealed, b"data")
    before = {key: content for key, content in target.objects.items() if not key.startswith("keys/")}
    keys = Keys(target, sealed.config)
    opened = keys.unlock(lambda: PASSWORD)
    first = opened.key
    second = keys.add(opened.ring, b"another", "the cellar", sealed.sealing, CHEAP)
    assert [each.label for each in keys.all(sealed.sealing)].count("the cellar") == 1
    assert open_again(target, b"another").images() == [image]
    with pytest.raises(LastKey, match="in use"):
        keys.remove(first, first, sealed.sealing)
    keys.remove(first[:8], second, sealed.sealing)
    with pytest.raises(PasswordWrong):
        open_again(target)
    with pytest.raises(LastKey):
        keys.remove(second, first, sealed.sealing)
    with pytest.raises(KeyMissing):
        keys.remove(first, second, sealed.sealing)
    assert before == {key: content for key, content in target.objects.items() if not key.startswith("keys/")}
    assert keeper.restore(open_again(target, b"another"), image) == b"data"


def test_what_a_hostile_key_may_cost_is_bounded(sealed, target):
    (key,) = (key for key in target.objects if key.startswith("keys/"))
    framed = envelope.unframe(public_digest, target.objects[key], key, ObjectKind.KEY)
    for n, r, p in (
        (1 << 30, 8, 1),
        (1 << 17, 1 << 40, 1),
        (1 << 17, 8, 5),
        (3, 8, 1),
        (0, 8, 1),
        (1 << 17, 0, 1),
        (2, 1, 0),
        (2, 1 << 21, 4),
    ):
        value = canonical.decode(framed.body, key) | {"cost": {"n": n, "r": r, "p": p}}
        body = canonical.encode(value)
        head = envelope.header(ObjectKind.KEY, len(body), 1)
        target.objects[key] = b"".join(envelope.frame(public_digest, sealed.sealing, key, head, body))
        with pytest.raises(Damaged, match="more work"):
            open_again(target)


def test_no_more_keys_are_tried_than_there_may_be(sealed, target, monkeypatch):
    keys = Keys(target, sealed.config)
    for number in range(31):
        keys.add(sealed.unlocked.ring, b"%d" % number, "", sealed.sealing, CHEAP)
    with pytest.raises(UsageError, match="at most 32"):
        keys.add(sealed.unlocked.ring, b"one more", "", sealed.sealing, CHEAP)
    opened = keys.unlock(lambda: b"7")
    changed = keys.change(opened, b"seven", sealed.sealing, CHEAP)
    assert {changed, *(each.id for each in keys.all(sealed.sealing))} >= {changed}
    assert len(keys.all(sealed.sealing)) == 32
    (first, *_) = (key for key in target.objects if key.startswith("keys/"))
    for number in range(40):
        target.objects[layout.key_key(f"{number:032x}")] = target.objects[first]
    with pytest.raises(PasswordWrong, match=r"its 32 keys|none of its keys"):
        open_again(target, b"wrong")


def test_a_damaged_key_locks_nobody_else_out(sealed, target):
    Keys(target, sealed.config).add(sealed.unlocked.ring, b"another", "", sealed.sealing, CHEAP)
    keys = [key for key in target.objects if key.startswith("keys/")]
    for key in keys:
        whole = target.objects[key]
        target.objects[key] = whole[:-1]
        opened = 0
        for password in (PASSWORD, b"another"):
            with contextlib.suppress(PasswordWrong):
                opened += bool(open_again(target, password))
        assert opened == 1
        target.objects[key] = whole


@given(st.binary(max_size=300))
def test_garbage_is_no_key(data):
    with pytest.raises((Damaged, FormatTooNew)):
        _Wrapped.read(layout.key_key("ab" * 16), data)


def test_without_the_package_the_answer_says_what_to_install(sealed, target, monkeypatch):
    for name in ("ciphers.aead", "asymmetric.ed25519", "asymmetric.x25519"):
        monkeypatch.setitem(sys.modules, f"cryptography.hazmat.primitives.{name}", None)
    for attempt in (lambda: open_again(target), lambda: make(MemoryTarget())):
        with pytest.raises(RepositoryError, match=r"needs? the Python package 'cryptography'") as caught:
            attempt()
        assert "holdstill[sealed]" in caught.value.next_step
