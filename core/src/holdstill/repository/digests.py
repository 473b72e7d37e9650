"""Keyed digests: what names a blob, and what shows that an object is what was written."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from typing import Final

import numpy as np

from holdstill.errors import RepositoryError
from holdstill.model.buffers import Buffer
from holdstill.repository.layout import ZERO_ID, BlobKind
from holdstill.repository.sealing import PLAIN, Sealing

BLAKE3: Final = "blake3"
BLAKE2B: Final = "blake2b"
ALGORITHMS: Final = (BLAKE3, BLAKE2B)

#: so many bytes tell nearly every chunk that is not zero
_GLANCE: Final = 64
_ZEROS: Final = bytes(_GLANCE)


def preferred() -> str:
    """The digest for a new repository: BLAKE3 where its wheel is installed, else keyed BLAKE2b-256."""
    return BLAKE3 if importlib.util.find_spec("blake3") else BLAKE2B


def blake2b(key: bytes, *parts: Buffer) -> bytes:
    """BLAKE2b with a 32-byte key and a 32-byte result (RFC 7693) over the concatenation of ``parts``."""
    state = hashlib.blake2b(digest_size=32, key=key)
    for part in parts:
        state.update(part)
    return state.digest()


class Digests:
    """One repository's digests, each use with a key of its own derived from the repository's. Thread-safe.

    Large inputs are digested with the GIL released. ``sealing`` is what the same repository's bytes are sealed with.
    Raises ``RepositoryError`` if the algorithm's wheel is missing.
    """

    def __init__(self, algorithm: str, repository_key: bytes, sealing: Sealing = PLAIN) -> None:
        self.sealing = sealing
        self._keyed = _blake3() if algorithm == BLAKE3 else blake2b
        self._id_keys = {kind: self._derive(repository_key, f"{kind.name.lower()}-id") for kind in BlobKind}
        self._object_key = self._derive(repository_key, "object")
        self._pack_key = self._derive(repository_key, "pack")
        self._blob_key = self._derive(repository_key, "blob")

    def _derive(self, repository_key: bytes, use: str) -> bytes:
        return self._keyed(repository_key, f"holdstill v1 {use}".encode())

    def blob_id(self, kind: BlobKind, plain: Buffer) -> bytes:
        """The id of a blob: 32 bytes; ``ZERO_ID`` if it has no byte but zeros."""
        return ZERO_ID if all_zero(plain) else self._keyed(self._id_keys[kind], plain)

    def of_object(self, *parts: Buffer) -> bytes:
        """Over a small object: key, header and body. 32 bytes."""
        return self._keyed(self._object_key, *parts)

    def of_pack(self, *parts: Buffer) -> bytes:
        """Over a pack's key, header and rows. 32 bytes."""
        return self._keyed(self._pack_key, *parts)

    def of_blob(self, head: Buffer, encoded: Buffer) -> bytes:
        """Over a row's head and the encoded bytes. The first 16 bytes of the digest."""
        return self._keyed(self._blob_key, head, encoded)[:16]


class Ids:
    """What names a chunk, a page, a map. Thread-safe; releases the GIL."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    def chunk(self, buffer: Buffer) -> bytes:
        """The id of a chunk of the volume."""
        return self._digests.blob_id(BlobKind.CHUNK, buffer)

    def page(self, buffer: Buffer) -> bytes:
        """The id of a page of ids."""
        return self._digests.blob_id(BlobKind.PAGE, buffer)

    def map(self, buffer: Buffer) -> bytes:
        """The id of a piece of a block map."""
        return self._digests.blob_id(BlobKind.MAP, buffer)


def all_zero(buffer: Buffer) -> bool:
    """Are all bytes zero? Looks at a few of them first, which settles it for nearly all that is not."""
    view = memoryview(buffer).cast("B")
    if view[:_GLANCE] != _ZEROS[: min(_GLANCE, len(view))]:
        return False
    words = len(view) // 8 * 8
    return not (np.frombuffer(view[:words], dtype=np.uint64).any() or any(view[words:]))


def _blake3() -> Callable[..., bytes]:
    try:
        from blake3 import blake3
    except ImportError as error:
        raise RepositoryError(
            "this repository names its data by BLAKE3 digests, and the Python package 'blake3' is not installed",
            next_step="Install it (pip install 'holdstill[fast]').",
        ) from error

    def keyed(key: bytes, *parts: Buffer) -> bytes:
        state = blake3(parts[0], key=key)
        for part in parts[1:]:
            state.update(part)
        digest: bytes = state.digest()
        return digest

    return keyed
