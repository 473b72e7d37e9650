"""What is fixed for a repository when it is made."""

from __future__ import annotations

import secrets
from typing import Any, Final

import attrs

from holdstill.errors import Damaged, FormatTooNew, UsageError
from holdstill.model.buffers import Buffer
from holdstill.repository import canonical, codecs, digests, envelope, layout
from holdstill.repository.fields import Fields
from holdstill.repository.layout import CONFIG, ObjectKind
from holdstill.repository.sealing import PLAIN, Sealing

# The config is read before any key is known, so its digest is under one that everybody knows: it finds accidents.
_OWN_KEY: Final = digests.blake2b(bytes(32), b"holdstill v1 config")


@attrs.frozen
class Config:
    """The settings of one repository; never changed after ``init``. Sizes in bytes."""

    repository_id: str
    """32 hexadecimal digits."""
    key: bytes = attrs.field(repr=False)
    """32 random bytes, from which the keys of all digests are derived; none if the repository is sealed."""
    digest: str
    """``blake3`` or ``blake2b``."""
    codec: str
    """What writers compress with: ``zstd`` or ``zlib``. Readers take what each row says."""
    chunk_size: int
    pack_size: int
    fanout: int
    """Ids in a full page."""
    single_writer: bool
    """The target cannot create exclusively: one process at a time is its users' promise."""
    lock_for: int = 0
    """Seconds for which nobody can delete what is stored; 0: no object is locked."""

    @classmethod
    def fresh(
        cls,
        *,
        single_writer: bool,
        chunk_size: int | None,
        digest: str | None,
        codec: str | None,
        is_sealed: bool = False,
        lock_for: int = 0,
    ) -> Config:
        """A new repository's. Raises ``UsageError`` for settings that are none."""
        size = layout.DEFAULT_CHUNK_SIZE if chunk_size is None else chunk_size
        if not is_chunk_size(size):
            raise UsageError(
                f"a chunk size must be a power of two from {layout.SMALLEST_CHUNK} to {layout.LARGEST_CHUNK} bytes,"
                f" not {size}"
            )
        return cls(
            repository_id=secrets.token_hex(16),
            key=b"" if is_sealed else secrets.token_bytes(32),
            digest=_one_of("digest", digest or digests.preferred(), digests.ALGORITHMS),
            codec=_one_of("codec", codec or codecs.preferred(), codecs.WRITABLE),
            chunk_size=size,
            pack_size=layout.DEFAULT_PACK_SIZE,
            fanout=layout.DEFAULT_FANOUT,
            single_writer=single_writer,
            lock_for=lock_for,
        )

    @property
    def is_sealed(self) -> bool:
        """Are the keys elsewhere, wrapped by passwords?"""
        return not self.key

    def sealed(self, sealing: Sealing = PLAIN) -> list[Buffer]:
        """The object to store under ``config``."""
        body = canonical.encode(self._as_json())
        head = envelope.header(ObjectKind.CONFIG, len(body), sealing.flags)
        return envelope.frame(public_digest, sealing, CONFIG, head, body)

    def _as_json(self) -> dict[str, Any]:
        fields = {**attrs.asdict(self), "key": self.key.hex()}
        if not self.lock_for:  # written only where it says something
            del fields["lock_for"]
        return fields

    @classmethod
    def unsealed(cls, data: bytes, sealing: Sealing | None = None) -> Config:
        """What was read from ``config``. Whose it is can be told with the repository's ``sealing`` only.

        Raises ``Damaged`` or ``FormatTooNew``.
        """
        framed = envelope.unframe(public_digest, data, CONFIG, ObjectKind.CONFIG)
        if sealing is not None:
            envelope.signed_by(sealing, framed, CONFIG)
        fields = Fields(canonical.decode(framed.body, CONFIG), CONFIG)
        config = cls(
            repository_id=fields.hexadecimal("repository_id", 32),
            key=bytes.fromhex(fields.hexadecimal("key", 0 if framed.signature else 64)),
            digest=fields.text("digest"),
            codec=fields.text("codec"),
            chunk_size=fields.number("chunk_size", layout.LARGEST_CHUNK),
            pack_size=fields.number("pack_size", layout.LARGEST_PACK),
            fanout=fields.number("fanout", layout.LARGEST_FANOUT),
            single_writer=fields.flag("single_writer"),
            lock_for=fields.number_if_there("lock_for"),
        )
        fields.done()
        if config.digest not in digests.ALGORITHMS or config.codec not in codecs.WRITABLE:
            raise FormatTooNew(
                f"it asks for digest {config.digest!r} and codec {config.codec!r}, unknown to this release",
                subject=CONFIG,
                next_step="Use a newer release.",
            )
        if not is_chunk_size(config.chunk_size) or config.fanout < 2:
            raise Damaged("its sizes are impossible", subject=CONFIG)
        return config


def is_chunk_size(size: int) -> bool:
    """Is it a power of two in the range that the format allows?"""
    return layout.SMALLEST_CHUNK <= size <= layout.LARGEST_CHUNK and size & (size - 1) == 0


def public_digest(*parts: Buffer) -> bytes:
    """Of what is read before any key is known."""
    return digests.blake2b(_OWN_KEY, *parts)


def _one_of(what: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UsageError(f"no such {what}: {value!r}; there are {', '.join(choices)}")
    return value
