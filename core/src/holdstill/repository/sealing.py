"""What is done to bytes between this program and the target: nothing, or sealing and signing them.

A **box** is ``way ‖ [ephemeral] ‖ salt ‖ sealed ‖ tag``. Its key is derived from one of the repository's keys and the
salt, 32 fresh random bytes: every box has a key of its own, so there is no nonce that could repeat, whatever processes
are forked, machines cloned, or writers killed.
"""

from __future__ import annotations

import enum
import secrets
import struct
from functools import lru_cache
from typing import Final

from holdstill.errors import Damaged
from holdstill.model.buffers import Buffer
from holdstill.repository import cipher
from holdstill.repository.keyring import Keyring, admission

#: the signer's public key, its certificate, its signature
SIGNATURE_SIZE: Final = cipher.KEY_SIZE + 2 * cipher.SIGNATURE_SIZE
_SALT: Final = 32
_NAMED: Final = struct.Struct("<I")


class Way(enum.IntEnum):
    """The first byte of a box: from which key its own is derived."""

    INDEX = 1
    DATA = 2
    RECIPIENT = 3


class Signer(enum.Enum):
    """Who stands for an object."""

    AUTHORITY = enum.auto()
    """Somebody who may read."""
    OURSELVES = enum.auto()
    """Who may only write, and is us."""
    STRANGER = enum.auto()
    """Somebody else who may only write: what it claims is believed only once it was looked at."""

    @property
    def is_trusted(self) -> bool:
        """May one rely on it unseen?"""
        return self is not Signer.STRANGER


class Sealing:
    """Of a repository that is not sealed: bytes stay as they are. ``Sealed`` is the other one."""

    flags: int = 0
    """Of every object's header."""
    may_read: bool = True
    """Can boxes of data be opened?"""
    index_box: int = 0
    """How many bytes longer a box for all writers is than what is in it."""
    data_box: int = 0
    """And one for those who may read."""
    signature: int = 0
    """The length of the signature behind each digest."""

    @property
    def pack_extra(self) -> int:
        """How many bytes longer a pack is."""
        return self.index_box + self.signature

    def close_index(self, plain: Buffer, bound: bytes) -> Buffer:
        """A box for all writers, which opens together with ``bound`` only."""
        return plain

    def open_index(self, box: bytes, bound: bytes) -> bytes:
        """What is in it. Raises ``Damaged``, without a subject."""
        return box

    def close_data(self, plain: bytes, bound: bytes) -> bytes:
        """A box for those who may read. Thread-safe, releases the GIL."""
        return plain

    def open_data(self, box: Buffer, bound: bytes) -> Buffer:
        """What is in it. Raises ``Damaged``, without a subject."""
        return box

    def veiled(self, named: bytes, value: bytes, bound: bytes) -> bytes:
        """``value`` for those who may read, behind ``named``, which all writers may."""
        return value

    def unveiled(self, body: bytes, bound: bytes) -> tuple[bytes | None, bytes | None]:
        """The two; None for one that is not there, or cannot be read by us."""
        return None, body

    def sign(self, what: bytes, digest: bytes) -> bytes:
        """What stands behind this digest of a ``what``: an object or a pack."""
        return b""

    def write_only(self, signed: bytes) -> str:
        """The public key, in hexadecimal, of who signed this object, if that is somebody who may only write."""
        return ""

    def signer(self, what: bytes, digest: bytes, signature: bytes) -> Signer:
        """Who stands for it. Raises ``Damaged``, without a subject, if nobody who was admitted does."""
        return Signer.AUTHORITY


#: nothing is sealed
PLAIN: Final = Sealing()


class Sealed(Sealing):
    """Of a sealed repository, with the keys that we have. Thread-safe. Raises ``RepositoryError`` without the package
    ``cryptography``.
    """

    flags = 1
    index_box = 1 + _SALT + cipher.TAG_SIZE
    signature = SIGNATURE_SIZE

    def __init__(self, keyring: Keyring) -> None:
        self._ring = keyring
        self._salt = bytes.fromhex(keyring.repository_id)
        self._index = cipher.derived(keyring.index, self._salt, b"holdstill v1 index")
        self._data = None if keyring.data is None else cipher.derived(keyring.data, self._salt, b"holdstill v1 data")
        self.may_read = keyring.may_read
        self._ephemeral, self._sent = (b"", b"") if self.may_read else self._new_ephemeral()
        self.data_box = self.index_box + len(self._ephemeral)
        self._public = cipher.verifying_key(keyring.signing)
        self._is_admitted = lru_cache(1024)(self._look_whether_admitted)
        self._received = lru_cache(1024)(self._open_ephemeral)

    def _new_ephemeral(self) -> tuple[bytes, bytes]:
        """A public key for this process, and what it and the recipient share. Sharing it is no danger: salts differ."""
        private = cipher.new_opening_key()
        public = cipher.recipient_of(private)
        return public, self._between(cipher.shared(private, self._ring.recipient), public)

    def _open_ephemeral(self, public: bytes) -> bytes:
        assert self._ring.opening is not None, "looked at by who opens"
        return self._between(cipher.shared(self._ring.opening, public), public)

    def _between(self, shared: bytes, ephemeral: bytes) -> bytes:
        return cipher.derived(shared, self._salt, b"holdstill v1 to" + ephemeral + self._ring.recipient)

    # --- boxes ----------------------------------------------------------------------------------

    def close_index(self, plain: Buffer, bound: bytes) -> bytes:
        """See ``Sealing``."""
        return _box(Way.INDEX, b"", self._index, plain, bound)

    def open_index(self, box: bytes, bound: bytes) -> bytes:
        """See ``Sealing``."""
        if box[:1] != bytes([Way.INDEX]):
            raise Damaged("it is not sealed for those who write")
        return _opened(self._index, memoryview(box)[1:], bound)

    def close_data(self, plain: bytes, bound: bytes) -> bytes:
        """See ``Sealing``."""
        if self._data is not None:
            return _box(Way.DATA, b"", self._data, plain, bound)
        return _box(Way.RECIPIENT, self._ephemeral, self._sent, plain, bound)

    def open_data(self, box: Buffer, bound: bytes) -> bytes:
        """See ``Sealing``."""
        if self._data is None:
            raise Damaged("our key may only write: what is stored cannot be read with it")
        view = memoryview(box)
        way, rest = bytes(view[:1]), view[1:]
        if way == bytes([Way.DATA]):
            return _opened(self._data, rest, bound)
        if way == bytes([Way.RECIPIENT]) and len(rest) > cipher.KEY_SIZE:
            return _opened(self._received(bytes(rest[: cipher.KEY_SIZE])), rest[cipher.KEY_SIZE :], bound)
        raise Damaged("it is not sealed for those who read")

    def veiled(self, named: bytes, value: bytes, bound: bytes) -> bytes:
        """See ``Sealing``."""
        return _NAMED.pack(len(named)) + named + self.close_data(value, bound)

    def unveiled(self, body: bytes, bound: bytes) -> tuple[bytes | None, bytes | None]:
        """See ``Sealing``. Raises ``Damaged``, without a subject."""
        length = _NAMED.unpack_from(body)[0] if len(body) >= _NAMED.size else len(body)
        end = _NAMED.size + length
        if end > len(body):
            raise Damaged("its parts do not fit its length")
        value = self.open_data(memoryview(body)[end:], bound) if self.may_read else None
        return body[_NAMED.size : end], value

    # --- signatures -----------------------------------------------------------------------------

    def sign(self, what: bytes, digest: bytes) -> bytes:
        """See ``Sealing``: our public key, why it counts, the signature."""
        return self._public + self._ring.certificate + cipher.sign(self._ring.signing, self._message(what, digest))

    def signer(self, what: bytes, digest: bytes, signature: bytes) -> Signer:
        """See ``Sealing``."""
        public = signature[: cipher.KEY_SIZE]
        certificate = signature[cipher.KEY_SIZE : -cipher.SIGNATURE_SIZE]
        if not self._is_admitted(public, certificate):
            raise Damaged("it is signed by somebody who was never admitted")
        if not cipher.is_signed(public, signature[-cipher.SIGNATURE_SIZE :], self._message(what, digest)):
            raise Damaged("its signature is wrong")
        if public == self._ring.authority:
            return Signer.AUTHORITY
        return Signer.OURSELVES if public == self._public else Signer.STRANGER

    def write_only(self, signed: bytes) -> str:
        """See ``Sealing``."""
        public = signed[-SIGNATURE_SIZE:][: cipher.KEY_SIZE]
        return "" if public == self._ring.authority else public.hex()

    def _message(self, what: bytes, digest: bytes) -> bytes:
        return b"holdstill v1 " + what + self._salt + digest

    def _look_whether_admitted(self, public: bytes, certificate: bytes) -> bool:
        return cipher.is_signed(self._ring.authority, certificate, admission(self._ring.repository_id, public))


def _box(way: Way, ephemeral: bytes, key: bytes, plain: Buffer, bound: bytes) -> bytes:
    salt = secrets.token_bytes(_SALT)
    return b"".join((bytes([way]), ephemeral, salt, cipher.encrypt(cipher.expanded(key, salt), plain, bound)))


def _opened(key: bytes, rest: memoryview, bound: bytes) -> bytes:
    return cipher.decrypt(cipher.expanded(key, bytes(rest[:_SALT])), rest[_SALT:], bound)
