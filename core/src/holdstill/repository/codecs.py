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

    def decode_into(self, tag: int, encoded: Buffer, room: memoryview) -> None:
        """Fill ``room`` with the plain bytes, which must be as many; at most as much memory is taken beside it.

        Raises ``Damaged`` (without a subject: the caller knows it) for anything else.
        """
        try:
            if tag == Codec.RAW:
                length = _copy(encoded, room)
            elif tag == Codec.ZLIB:
                length = _copy(_inflate(encoded, len(room)), room)
            elif tag == Codec.ZSTD:
                length = self._local.decompress_into(encoded, room)
            else:
                raise Damaged(f"a blob is encoded with codec {tag}, which does not exist")
        except zlib.error as error:
            raise Damaged(f"a blob cannot be decoded: {error}") from error
        if length != len(room):
            raise Damaged(f"a blob has {length} bytes, not {len(room)}")

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

    def decompress_into(self, encoded: Buffer, room: memoryview) -> int:
        wheel = _zstandard()
        if self._decompressor is None:
            self._decompressor = wheel.ZstdDecompressor()
        try:
            # A frame that says its size, and has that much room, is decoded in one go, without a window of its own.
            if wheel.frame_content_size(encoded) != len(room):
                raise Damaged("a blob's frame claims another size than its row")
            with self._decompressor.stream_reader(encoded, read_across_frames=True) as stream:
                length: int = stream.readinto(room)
                if stream.read(1):
                    raise Damaged("a blob goes on behind its frame")
                return length
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


def _copy(plain: Buffer, room: memoryview) -> int:
    if len(plain) == len(room):
        room[:] = plain
    return len(plain)


def _inflate(encoded: Buffer, plain_length: int) -> bytes:
    # One byte of room more than is right: the end mark is read, and a bomb stops there.
    stream = zlib.decompressobj()
    plain = stream.decompress(encoded, plain_length + 1)
    if not stream.eof or stream.unused_data:
        raise Damaged("a blob does not end where its row says")
    return plain
