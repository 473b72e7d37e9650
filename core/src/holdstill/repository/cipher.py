"""The ciphers, each in one function. Only this file imports the package ``cryptography``."""

from __future__ import annotations

import hmac
import importlib
from types import ModuleType
from typing import Any, Final

from holdstill.errors import Damaged, RepositoryError
from holdstill.model.buffers import Buffer

KEY_SIZE: Final = 32
TAG_SIZE: Final = 16
SIGNATURE_SIZE: Final = 64

#: every key seals one message only, so that one nonce is enough
_NONCE: Final = bytes(12)
_PRIMITIVES: Final = "cryptography.hazmat.primitives"


def derived(secret: bytes, salt: bytes, use: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869): 32 bytes for this use."""
    return expanded(hmac.digest(salt, secret, "sha256"), use)


def expanded(key: bytes, use: bytes) -> bytes:
    """The second half of HKDF alone, from a key that is uniformly random already: 32 bytes."""
    return hmac.digest(key, use + b"\x01", "sha256")


def encrypt(key: bytes, plain: Buffer, bound: bytes) -> bytes:
    """AES-256-GCM under a key that is used this once: the sealed bytes, 16 more than ``plain``. Releases the GIL."""
    sealed: bytes = _module("ciphers.aead").AESGCM(key).encrypt(_NONCE, plain, bound)
    return sealed


def decrypt(key: bytes, sealed: Buffer, bound: bytes) -> bytes:
    """What was sealed. Raises ``Damaged``, without a subject, unless these very bytes were, bound to ``bound``."""
    if len(sealed) < TAG_SIZE:
        raise Damaged("it is too short to be sealed")
    cipher = _module("ciphers.aead").AESGCM(key)
    try:
        plain: bytes = cipher.decrypt(_NONCE, sealed, bound)
    except _exceptions().InvalidTag as error:
        raise Damaged("it does not open: it is not what was sealed here") from error
    return plain


def new_signing_key() -> bytes:
    """A private key of Ed25519: 32 bytes."""
    return _raw(_module("asymmetric.ed25519").Ed25519PrivateKey.generate())


def verifying_key(signing: bytes) -> bytes:
    """The public key to it: 32 bytes."""
    return _public(_module("asymmetric.ed25519").Ed25519PrivateKey.from_private_bytes(signing))


def sign(signing: bytes, message: bytes) -> bytes:
    """64 bytes."""
    signature: bytes = _module("asymmetric.ed25519").Ed25519PrivateKey.from_private_bytes(signing).sign(message)
    return signature


def is_signed(verifying: bytes, signature: bytes, message: bytes) -> bool:
    """Did the owner of the key sign that?"""
    public = _module("asymmetric.ed25519").Ed25519PublicKey
    try:
        public.from_public_bytes(verifying).verify(signature, message)
    except (_exceptions().InvalidSignature, ValueError):
        return False
    return True


def new_opening_key() -> bytes:
    """A private key of X25519: 32 bytes."""
    return _raw(_module("asymmetric.x25519").X25519PrivateKey.generate())


def recipient_of(opening: bytes) -> bytes:
    """The public key to it: 32 bytes."""
    return _public(_module("asymmetric.x25519").X25519PrivateKey.from_private_bytes(opening))


def shared(private: bytes, public: bytes) -> bytes:
    """What the owners of these two X25519 keys both can know: 32 bytes. Raises ``Damaged`` for a hostile public key."""
    curve = _module("asymmetric.x25519")
    try:
        secret: bytes = curve.X25519PrivateKey.from_private_bytes(private).exchange(
            curve.X25519PublicKey.from_public_bytes(public)
        )
    except ValueError as error:
        raise Damaged("it is sealed with a key that is none") from error
    return secret


def _raw(key: Any) -> bytes:  # noqa: ANN401  # of a package that may be missing
    private: bytes = key.private_bytes_raw()
    return private


def _public(key: Any) -> bytes:  # noqa: ANN401  # as above
    public: bytes = key.public_key().public_bytes_raw()
    return public


def _exceptions() -> ModuleType:
    return importlib.import_module("cryptography.exceptions")


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"{_PRIMITIVES}.{name}")
    except ImportError as error:
        raise RepositoryError(
            "sealed repositories need the Python package 'cryptography', which is not installed",
            next_step="Install it (pip install 'holdstill[sealed]').",
        ) from error
