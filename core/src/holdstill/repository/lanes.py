"""The writer's packs and segments on their way: lanes of blobs, uploads, rows that wait for a segment."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Final

import attrs

from holdstill.repository import layout, packs, segments
from holdstill.repository.digests import Digests
from holdstill.repository.layout import BlobKind
from holdstill.repository.packs import PackBuilder
from holdstill.repository.rows import Encoded, Rows
from holdstill.repository.uploads import Uploads

#: a segment is written at so many packs, or so many bytes of them
_SEGMENT_PACKS: Final = 16
_SEGMENT_BYTES: Final = 256 << 20
#: and has little more than so many bytes of rows
_SEGMENT_ROWS: Final = 4 << 20

Named = tuple[str, Rows]


@attrs.define
class Lanes:
    """Blobs in, packs and segments out. Chunks, and pages with maps, go to packs of their own.

    Used by one thread. ``packed`` is called with a pack's key, names and rows once it is with the uploads.
    """

    _number: int
    _digests: Digests
    _uploads: Uploads
    _pack_size: int
    _packed: Callable[[str, list[tuple[BlobKind, bytes]], Rows], None]
    stored_size: int = 0
    """Bytes of all objects handed to the uploads."""
    segments: list[str] = attrs.field(factory=list)
    """Keys of the segments handed to the uploads."""
    _data: PackBuilder = attrs.field(factory=PackBuilder)
    _meta: PackBuilder = attrs.field(factory=PackBuilder)
    _acknowledged: list[Named] = attrs.field(factory=list)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def add(self, blob: Encoded) -> None:
        """One more blob for its lane."""
        lane = self._data if blob.kind is BlobKind.CHUNK else self._meta
        lane.add(blob)
        if lane.size >= self._pack_size:
            self._send_lanes(full_only=True)
            self._send_segments(rest=False)

    def name(self, key: str, rows: Rows) -> None:
        """A pack that others have stored under our number: a segment will name it."""
        self.stored_size += packs.size_of(rows, self._digests.sealing.pack_extra)
        self._acknowledge([(key, rows)])
        self._send_segments(rest=False)

    def flush(self, adopted: list[Named]) -> None:
        """Everything handed in, and these rows of others' packs, is acknowledged when this returns."""
        self._send_lanes(full_only=False)
        self._uploads.wait()
        self._acknowledge(adopted)
        self._send_segments(rest=True)
        self._uploads.wait()

    def _send_lanes(self, *, full_only: bool) -> None:
        least = self._pack_size if full_only else 1
        if self._data.count and self._data.size >= least:
            self._data = self._send_pack(self._data)
        if self._meta.count and self._meta.size >= least:
            self._meta = self._send_pack(self._meta)

    def _send_pack(self, builder: PackBuilder) -> PackBuilder:
        key = layout.pack_key(self._number, secrets.token_hex(16))
        rows = builder.rows()
        self._uploads.put(key, builder.seal(self._digests, key), lambda: self._acknowledge([(key, rows)]))
        self._packed(key, builder.names, rows)
        self.stored_size += packs.size_of(rows, self._digests.sealing.pack_extra)
        return PackBuilder()

    def _acknowledge(self, named: list[Named]) -> None:
        with self._lock:
            self._acknowledged += named

    def _send_segments(self, *, rest: bool) -> None:
        """Name acknowledged packs in segments of bounded size; without ``rest`` a small last one waits for more."""
        with self._lock:
            waiting, self._acknowledged = self._acknowledged, []
        batch: list[Named] = []
        for named in waiting:
            batch.append(named)
            if sum(rows.nbytes for _, rows in batch) >= _SEGMENT_ROWS:
                self._send_segment(batch)
                batch = []
        size = sum(packs.size_of(rows, self._digests.sealing.pack_extra) for _, rows in batch)
        if rest or len(batch) >= _SEGMENT_PACKS or size >= _SEGMENT_BYTES:
            self._send_segment(batch)
        else:
            self._acknowledge(batch)

    def _send_segment(self, batch: list[Named]) -> None:
        if batch:
            key = layout.segment_key(self._number, secrets.token_hex(16))
            parts = segments.seal(self._digests, key, batch)
            self._uploads.put(key, parts, lambda: None)
            self.stored_size += sum(len(part) for part in parts)
            self.segments.append(key)
