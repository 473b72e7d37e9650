"""Bytes that must never change: the format of version 1 with a fixed key."""

from __future__ import annotations

import hashlib

from holdstill.model.extents import Extents
from holdstill.repository import maps, packs, records, segments
from holdstill.repository.codecs import Codec
from holdstill.repository.digests import Digests
from holdstill.repository.layout import BlobKind, pack_key, segment_key
from holdstill.repository.records import Void
from holdstill.repository.rows import encoded_blob

DIGESTS = Digests("blake2b", bytes(range(32)))
KEY = "images/0000000007-" + "ab" * 16

GOLDEN = {
    "chunk id": "e050ef1168874b3090b8f704d45b50ef48b9e878199b78cc034773d79a25e58a",
    "page id": "d9380f1c7c0f00bc7454d8d83d735605725ceec344c5f5e2ec56855c446e6b7a",
    "map id": "b329d0fee7eee3b89c0c5a25dd008a72af850cf87a3ee8cd34f9151529e22d73",
    "blake3 chunk id": "828ba8171b561d9835c7f012daedb33bc3d4f8007c0c72751c3d52d6ec4d22d8",
    "void": "bf7bdd3a3525c363fadfee474e85977008d540711f31cc9fc06616364d280c80",
    "pack": "f1f536b0131c5ccc03a91636527c05dbe66b66cfb54ab639a1f3970e54d5f462",
    "segment": "4410f549f5b1dcd9bf40bc411430db2ed62ef04d555712afb677667393803f82",
    "map": "02000000001000000000000000d000000000000000200000000000000100000000000000",
}


def test_golden_bytes():
    """The format of version 1, with a fixed key: what these digests were when it was fixed."""
    void = b"".join(records.seal(DIGESTS, KEY, Void("host", "forgotten", "2026-01-01T00:00:00Z")))
    builder = packs.PackBuilder()
    chunk = b"holdstill" * 100
    chunk_id = DIGESTS.blob_id(BlobKind.CHUNK, chunk)
    builder.add(encoded_blob(DIGESTS, BlobKind.CHUNK, chunk_id, len(chunk), (Codec.RAW, chunk)))
    key = pack_key(7, "cd" * 16)
    pack = b"".join(builder.seal(DIGESTS, key))
    segment = b"".join(segments.seal(DIGESTS, segment_key(7, "ef" * 16), [(key, builder.rows())]))
    piece = maps.pack(Extents.of((4096, 8192), (65536, 1)))
    seen = {
        "chunk id": chunk_id.hex(),
        "page id": DIGESTS.blob_id(BlobKind.PAGE, chunk).hex(),
        "map id": DIGESTS.blob_id(BlobKind.MAP, chunk).hex(),
        "blake3 chunk id": Digests("blake3", bytes(range(32))).blob_id(BlobKind.CHUNK, chunk).hex(),
        "void": hashlib.sha256(void).hexdigest(),
        "pack": hashlib.sha256(pack).hexdigest(),
        "segment": hashlib.sha256(segment).hexdigest(),
        "map": piece.hex(),
    }
    assert seen == GOLDEN
