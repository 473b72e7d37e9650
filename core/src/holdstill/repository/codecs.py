"""How a blob is written: raw, zlib or zstd, whatever is smallest and available."""

from __future__ import annotations

import enum
import importlib.util
import threading
import zlib
from types import ModuleType
from typing import TYPE_CHECKING, Final

from holdstill.errors import Damaged, RepositoryError
from holdstill.model.buffers import Buffer

if TYPE_CHECKING:
    import zstandard

ZSTD: Final = "zstd"
ZLIB: Final = "zlib"
WRITABLE: Final = (ZSTD, ZLIB)

_SAMPLE: Final = 4096
_SAMPLES: Final = 3
_TRIED_FROM: Final = 32 << 10
_HOPELESS: Final = 0.98


class Codec(enum.IntEnum):
    """The byte in a row that says how the blob is encoded."""

    RAW = 0
    ZLIB = 1
    ZSTD = 2


def preferred() -> str:
    """The codec for a new repository: zstd where its wheel is installed, else zlib."""
    return ZSTD if importlib.util.find_spec("zstandard") else ZLIB


class Codecs:
    """Encodes with the repository's codec, decodes by tag. Thread-safe; the GIL is released while compressing.

    Raises ``RepositoryError`` if the repository's codec is not installed.
    """

    def __init__(self, writing: str) -> None:
        self._local = _Zstd()
        self._tag = Codec.ZSTD if writing == ZSTD else Codec.ZLIB
        if self._tag is Codec.ZSTD:
            self._local.compressor()

    def encode(self, plain: Buffer) -> tuple[Codec, bytes]:
        """The tag and the encoded bytes, never more than ``plain`` has."""
        if self._tag is Codec.ZSTD or not self._hopeless(plain):
            packed = self._compress(plain)
            if len(packed) < len(plain):
                return self._tag, packed
        return Codec.RAW, bytes(plain)

    def decode(self, tag: int, encoded: Buffer, plain_length: int) -> bytes:
        """The plain bytes: exactly ``plain_length``, and never more memory than that.

        Raises ``Damaged`` (without a subject: the caller knows it) for anything else.
        """
        try:
            if tag == Codec.RAW:
                plain = bytes(encoded)
            elif tag == Codec.ZLIB:
                plain = _inflate(encoded, plain_length)
            elif tag == Codec.ZSTD:
                plain = self._local.decompress(encoded, plain_length)
            else:
                raise Damaged(f"a blob is encoded with codec {tag}, which does not exist")
        except zlib.error as error:
            raise Damaged(f"a blob cannot be decoded: {error}") from error
        if len(plain) != plain_length:
            raise Damaged(f"a blob has {len(plain)} bytes, not {plain_length}")
        return plain

    def _compress(self, plain: Buffer) -> bytes:
        return self._local.compressor().compress(plain) if self._tag is Codec.ZSTD else zlib.compress(plain, 1)

    def _hopeless(self, plain: Buffer) -> bool:
        """Would compressing be time lost? Judged by a few KiB from the start, the middle and the end.

        zstd itself runs through noise faster than such a look at everything else would cost.
        """
        if len(plain) < _TRIED_FROM:
            return False
        view = memoryview(plain)
        step = (len(view) - _SAMPLE) // (_SAMPLES - 1)
        sample = b"".join(view[at * step : at * step + _SAMPLE] for at in range(_SAMPLES))
        return len(self._compress(sample)) > len(sample) * _HOPELESS


class _Zstd(threading.local):
    """One compressor and one decompressor a thread: neither may be shared."""

    _compressor: zstandard.ZstdCompressor | None = None
    _decompressor: zstandard.ZstdDecompressor | None = None

    def compressor(self) -> zstandard.ZstdCompressor:
        if self._compressor is None:
            compressor: zstandard.ZstdCompressor = _zstandard().ZstdCompressor(level=1, write_content_size=True)
            self._compressor = compressor
        return self._compressor

    def decompress(self, encoded: Buffer, plain_length: int) -> bytes:
        wheel = _zstandard()
        if self._decompressor is None:
            self._decompressor = wheel.ZstdDecompressor()
        try:
            # The wheel allocates what the frame claims, so the claim is looked at first.
            if wheel.frame_content_size(encoded) != plain_length:
                raise Damaged("a blob's frame claims another size than its row")
            return self._decompressor.decompress(encoded, max_output_size=plain_length, allow_extra_data=False)
        except wheel.ZstdError as error:
            raise Damaged(f"a blob cannot be decoded: {error}") from error


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError as error:
        raise RepositoryError(
            "this repository is compressed with zstd, and the Python package 'zstandard' is not installed",
            next_step="Install it (pip install 'holdstill[fast]').",
        ) from error
    return zstandard


def _inflate(encoded: Buffer, plain_length: int) -> bytes:
    # One byte of room more than is right: the end mark is read, and a bomb stops there.
    stream = zlib.decompressobj()
    plain = stream.decompress(encoded, plain_length + 1)
    if not stream.eof or stream.unused_data:
        raise Damaged("a blob does not end where its row says")
    return plain
