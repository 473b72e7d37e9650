"""The objects that hold a repository's keys, each wrapped by one password."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from holdstill.errors import (
    Damaged,
    FormatTooNew,
    KeyMissing,
    LastKey,
    ObjectMissing,
    PasswordWrong,
    RepositoryError,
    UsageError,
)
from holdstill.model.buffers import Buffer
from holdstill.model.results import KeyFacts
from holdstill.repository import canonical, cipher, envelope, layout
from holdstill.repository.config import Config, public_digest
from holdstill.repository.fields import Fields
from holdstill.repository.keyring import Keyring, Unlocked
from holdstill.repository.layout import KEYS, ObjectKind
from holdstill.repository.sealing import Sealed, Sealing
from holdstill.repository.session import now
from holdstill.spi.target import Target

#: nobody has more, and no more are tried: each costs a second and the memory below
MOST_KEYS: Final = 32
#: what a hostile object may make us spend, in bytes and in passes
_LARGEST_MEMORY: Final = 512 << 20
_MOST_PASSES: Final = 4
_LARGEST_R: Final = 64
_LONGEST_PASSWORD: Final = 4096
_SALT_DIGITS: Final = 64
_LARGEST_KEY_OBJECT: Final = 64 << 10


@attrs.frozen
class Cost:
    """What trying one password costs: scrypt's parameters."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1

    @property
    def memory(self) -> int:
        """Bytes."""
        return 128 * self.n * self.r

    def is_bearable(self) -> bool:
        """May somebody else's object make us do that?"""
        shaped = (
            self.n >= 2 and self.n & (self.n - 1) == 0 and 1 <= self.r <= _LARGEST_R and 1 <= self.p <= _MOST_PASSES
        )
        return shaped and self.memory <= _LARGEST_MEMORY


@attrs.frozen
class _Wrapped:
    """One key object. Only ``salt`` and ``cost`` are in the open, and mean nothing without the password."""

    key: str
    cost: Cost
    salt: str
    ring: bytes = attrs.field(repr=False)
    """The keyring, sealed."""
    about: bytes = attrs.field(repr=False)
    """Label, date and kind, sealed for everybody who knows some password."""

    @property
    def _bound(self) -> bytes:
        cost = self.cost
        return envelope.bound_key(self.key) + canonical.encode({**attrs.asdict(cost), "salt": self.salt})

    def opened(self, password: bytes, repository_id: str) -> Keyring | None:
        """The keys; None if the password is another's, or they are another repository's."""
        try:
            plain = cipher.decrypt(_wrapping_key(password, self.salt, self.cost), self.ring, self._bound)
        except Damaged:
            return None
        ring = Keyring.from_fields(Fields(canonical.decode(plain, self.key), self.key), self.key)
        return ring if ring.repository_id == repository_id else None

    def facts(self, sealing: Sealing) -> KeyFacts:
        """What was written about it. Raises ``Damaged``."""
        try:
            fields = Fields(canonical.decode(sealing.open_index(self.about, self._bound), self.key), self.key)
        except Damaged as damage:
            raise Damaged(damage.message, subject=self.key) from damage
        facts = KeyFacts(
            self.key.removeprefix(KEYS),
            fields.text("label"),
            fields.text("made"),
            fields.flag("write_only"),
            fields.hexadecimal("signer", 2 * cipher.KEY_SIZE),
            current=False,
        )
        fields.done()
        return facts

    def parts(self, sealing: Sealing) -> list[Buffer]:
        """The object to store."""
        body = canonical.encode(
            {
                "about": self.about.hex(),
                "cost": attrs.asdict(self.cost),
                "kdf": "scrypt",
                "ring": self.ring.hex(),
                "salt": self.salt,
            }
        )
        head = envelope.header(ObjectKind.KEY, len(body), sealing.flags)
        return envelope.frame(public_digest, sealing, self.key, head, body)

    @classmethod
    def wrap(cls, ring: Keyring, password: bytes, label: str, cost: Cost) -> _Wrapped:
        """A new object."""
        bare = cls(layout.key_key(secrets.token_hex(16)), cost, secrets.token_hex(_SALT_DIGITS // 2), b"", b"")
        about = canonical.encode(
            {"label": label, "made": now(), "signer": _signer(ring), "write_only": not ring.may_read}
        )
        sealed = cipher.encrypt(_wrapping_key(password, bare.salt, cost), canonical.encode(ring.as_json()), bare._bound)
        return attrs.evolve(bare, ring=sealed, about=Sealed(ring).close_index(about, bare._bound))

    @classmethod
    def read(cls, key: str, data: bytes, sealing: Sealing | None = None) -> _Wrapped:
        """What was read from ``key``; with ``sealing`` it must be signed. Raises ``Damaged`` or ``FormatTooNew``."""
        if len(data) > _LARGEST_KEY_OBJECT:
            raise Damaged(f"no key has {len(data)} bytes", subject=key)
        framed = envelope.unframe(public_digest, data, key, ObjectKind.KEY)
        if sealing is not None:
            envelope.signed_by(sealing, framed, key)
        fields = Fields(canonical.decode(framed.body, key), key)
        if fields.text("kdf") != "scrypt":
            raise FormatTooNew("its password is stretched in a way that this release does not know", subject=key)
        of_cost = fields.below("cost")
        cost = Cost(*(of_cost.number(name) for name in ("n", "r", "p")))
        of_cost.done()
        if not cost.is_bearable():
            raise Damaged("it asks for more work than any key may", subject=key)
        wrapped = cls(
            key, cost, fields.hexadecimal("salt", _SALT_DIGITS), _binary(fields, "ring"), _binary(fields, "about")
        )
        fields.done()
        return wrapped


@attrs.frozen
class Keys:
    """The keys of one sealed repository."""

    _target: Target
    _config: Config

    def unlock(self, ask: Callable[[], bytes]) -> Unlocked:
        """The keys that this password opens. Raises ``PasswordWrong``."""
        wrapped = list(self._wrapped())
        password = checked(ask())
        for each in wrapped:
            ring = each.opened(password, self._config.repository_id)
            if ring is not None:
                return Unlocked(ring, each.key.removeprefix(KEYS))
        raise PasswordWrong(
            f"the password opens none of its {len(wrapped)} keys" if wrapped else "none of its keys is there",
            subject=self._target.url,
            next_step="Try another password." if wrapped else "Without its keys nothing in it can be read by anybody.",
        )

    def change(self, unlocked: Unlocked, password: bytes, by: Sealing, cost: Cost) -> str:
        """Another password in the place of the one in use; the name of the new key. Raises ``Damaged``."""
        label = next((each.label for each in self.all(by) if each.id == unlocked.key), "")
        new = self._put(unlocked.ring, password, label, by, cost)
        self._target.delete(layout.key_key(unlocked.key))
        return new

    def add(self, ring: Keyring, password: bytes, label: str, by: Sealing, cost: Cost) -> str:
        """One more password; the name of its key. ``by``: what it is signed with. Raises ``UsageError``."""
        if len(list(self._listed())) >= MOST_KEYS:
            raise UsageError(f"a repository has at most {MOST_KEYS} keys", next_step="remove one that is not used")
        return self._put(ring, password, label, by, cost)

    def _put(self, ring: Keyring, password: bytes, label: str, by: Sealing, cost: Cost) -> str:
        wrapped = _Wrapped.wrap(ring, checked(password), label, cost)
        self._target.put(wrapped.key, wrapped.parts(by))
        again = _Wrapped.read(wrapped.key, self._target.get(wrapped.key), by)
        if again != wrapped:
            raise Damaged("it is not what was stored a moment ago", subject=wrapped.key)
        return wrapped.key.removeprefix(KEYS)

    def all(self, sealing: Sealing) -> list[KeyFacts]:
        """What is known of each, the oldest first. Raises ``Damaged``."""
        found = [wrapped.facts(sealing) for wrapped in self._wrapped(sealing)]
        return sorted(found, key=lambda facts: (facts.made, facts.id))

    def remove(self, prefix: str, current: str, sealing: Sealing) -> KeyFacts:
        """The key whose name begins so. Raises ``KeyMissing``, and ``LastKey`` for the last that may read, and for the
        one in use.
        """
        facts = self.all(sealing)
        found = [each for each in facts if prefix and each.id.startswith(prefix)]
        if len(found) != 1:
            how_many = f"{len(found)} keys begin" if found else "no key begins"
            raise KeyMissing(f"{how_many} with {prefix!r}", next_step="`holdstill key list` shows them")
        (chosen,) = found
        if chosen.id == current:
            raise LastKey("it is the key in use", subject=chosen.id, next_step="use another key's password for that")
        if not any(each.id != chosen.id and not each.write_only for each in facts):
            raise LastKey("without it nobody could read the repository any more", subject=chosen.id)
        self._target.delete(layout.key_key(chosen.id))
        return chosen

    def damaged(self, sealing: Sealing) -> Iterator[Damaged | FormatTooNew]:
        """What is wrong with those that a listing shows."""
        for key in self._listed():
            try:
                _Wrapped.read(key, self._target.get(key), sealing).facts(sealing)
            except (Damaged, FormatTooNew) as damage:
                yield damage
            except ObjectMissing:
                continue

    def _listed(self) -> Iterator[str]:
        keys = sorted(listed.key for listed in self._target.list(KEYS) if layout.is_key_key(listed.key))
        return iter(keys)

    def _wrapped(self, sealing: Sealing | None = None) -> Iterator[_Wrapped]:
        """Those that can be read. One that is damaged must not lock out who knows another's password."""
        damage: Damaged | FormatTooNew | None = None
        left = MOST_KEYS
        for key in self._listed():
            try:
                wrapped = _Wrapped.read(key, self._target.get(key), sealing)
            except ObjectMissing:
                continue
            except (Damaged, FormatTooNew) as error:
                damage = error
                continue
            left -= 1
            yield wrapped
            if left == 0:
                return
        if damage is not None and left == MOST_KEYS:
            raise damage


def checked(password: bytes) -> bytes:
    """Raises ``UsageError`` for one that is none."""
    if not password or len(password) > _LONGEST_PASSWORD:
        raise UsageError("the password is empty" if not password else f"no password has {len(password)} bytes")
    return password


def _signer(ring: Keyring) -> str:
    return cipher.verifying_key(ring.signing).hex()


def _wrapping_key(password: bytes, salt: str, cost: Cost) -> bytes:
    if not hasattr(hashlib, "scrypt"):
        raise RepositoryError(
            "this Python was built without scrypt", next_step="Use one that was built with OpenSSL 1.1 or newer."
        )
    stretched = hashlib.scrypt(
        password,
        salt=bytes.fromhex(salt),
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=cost.memory + (64 << 20),
        dklen=cipher.KEY_SIZE,
    )
    return hmac.digest(stretched, b"holdstill v1 wrap", "sha256")


def _binary(fields: Fields, name: str) -> bytes:
    text = fields.text(name)
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if value.hex() != text or not value:
        raise fields.wrong(name, "is not hexadecimal")
    return value
