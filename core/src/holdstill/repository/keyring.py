"""The keys of a sealed repository, as whoever knows a password holds them."""

from __future__ import annotations

import secrets
from typing import Any, Final, Self

import attrs

from holdstill.errors import Damaged
from holdstill.repository import cipher
from holdstill.repository.fields import Fields

_KEY_DIGITS: Final = 2 * cipher.KEY_SIZE


@attrs.frozen
class Keyring:
    """Keys of 32 bytes each. What must not be read by everybody is in no ``repr``."""

    repository_id: str
    """Of the one repository that they are for: 32 hexadecimal digits."""
    ids: bytes = attrs.field(repr=False)
    """``K`` of the format: what names blobs and finds accidents."""
    index: bytes = attrs.field(repr=False)
    """Seals what every writer must read: the ledger, rows, which segments a record names."""
    data: bytes | None = attrs.field(repr=False)
    """Seals blobs and image records. None: the holder may only write."""
    opening: bytes | None = attrs.field(repr=False)
    """Opens what those sealed who may only write (X25519, private)."""
    recipient: bytes
    """The public key to it."""
    signing: bytes = attrs.field(repr=False)
    """The holder's own Ed25519 key, private."""
    authority: bytes
    """The public key to the one of all who may read."""
    certificate: bytes
    """The authority's signature, 64 bytes, over the holder's public key."""

    @classmethod
    def fresh(cls, repository_id: str) -> Self:
        """All keys of a new repository."""
        opening, signing = cipher.new_opening_key(), cipher.new_signing_key()
        authority = cipher.verifying_key(signing)
        return cls(
            repository_id,
            ids=secrets.token_bytes(cipher.KEY_SIZE),
            index=secrets.token_bytes(cipher.KEY_SIZE),
            data=secrets.token_bytes(cipher.KEY_SIZE),
            opening=opening,
            recipient=cipher.recipient_of(opening),
            signing=signing,
            authority=authority,
            certificate=cipher.sign(signing, admission(repository_id, authority)),
        )

    @property
    def may_read(self) -> bool:
        """Can its holder open what is stored?"""
        return self.data is not None

    def for_a_writer(self) -> Keyring:
        """A new ring for somebody who may back up, and not read. Only who may read can make one."""
        assert self.may_read, "asked for by the engine"
        signing = cipher.new_signing_key()
        admitted = cipher.sign(self.signing, admission(self.repository_id, cipher.verifying_key(signing)))
        return attrs.evolve(self, data=None, opening=None, signing=signing, certificate=admitted)

    def as_json(self) -> dict[str, Any]:
        """Everything, to be sealed at once."""
        raw = attrs.asdict(self)
        return {name: value.hex() if isinstance(value, bytes) else value for name, value in raw.items()}

    @classmethod
    def from_fields(cls, fields: Fields, key: str) -> Self:
        """What was opened of the object ``key``. Raises ``Damaged``."""

        def optional(name: str) -> bytes | None:
            text = fields.optional_text(name)
            return None if text is None else _key_of(text, key)

        ring = cls(
            repository_id=fields.hexadecimal("repository_id", 32),
            ids=bytes.fromhex(fields.hexadecimal("ids", _KEY_DIGITS)),
            index=bytes.fromhex(fields.hexadecimal("index", _KEY_DIGITS)),
            data=optional("data"),
            opening=optional("opening"),
            recipient=bytes.fromhex(fields.hexadecimal("recipient", _KEY_DIGITS)),
            signing=bytes.fromhex(fields.hexadecimal("signing", _KEY_DIGITS)),
            authority=bytes.fromhex(fields.hexadecimal("authority", _KEY_DIGITS)),
            certificate=bytes.fromhex(fields.hexadecimal("certificate", 2 * cipher.SIGNATURE_SIZE)),
        )
        fields.done()
        if (ring.data is None) != (ring.opening is None):
            raise Damaged("it holds half of what reads", subject=key)
        return ring


@attrs.frozen
class Unlocked:
    """A keyring, and the name of the object from which it was opened: 32 hexadecimal digits."""

    ring: Keyring
    key: str


def admission(repository_id: str, verifying: bytes) -> bytes:
    """What the authority signs to let the owner of this public key write."""
    return b"holdstill v1 writer" + bytes.fromhex(repository_id) + verifying


def _key_of(text: str, key: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != cipher.KEY_SIZE:
        raise Damaged("it holds a key that is none", subject=key)
    return value
