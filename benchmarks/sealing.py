"""What sealing costs: the CPU time that one chunk takes on its way into a pack and back, in one thread.

usage: sealing.py    prints the figures of docs/explanation/security.md
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable

from holdstill.repository.codecs import Codecs
from holdstill.repository.digests import Digests
from holdstill.repository.keyring import Keyring
from holdstill.repository.layout import BlobKind
from holdstill.repository.rows import Encoded, encoded_blob, head
from holdstill.repository.sealing import PLAIN, Sealed

CHUNK = 256 << 10
TIMES, ROUNDS = 200, 9


def micros(work: Callable[[], object]) -> float:
    """The median CPU time of one call."""
    for _ in range(TIMES):
        work()
    costs = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(TIMES):
            work()
        costs.append((time.thread_time() - began) / TIMES * 1e6)
    return statistics.median(costs)


def main() -> None:
    """Print the table."""
    ring, codecs = Keyring.fresh("00" * 16), Codecs("zstd")
    noise = os.urandom(CHUNK)
    half = random.Random(1).randbytes(300) * 1000
    contents = {"noise": noise, "half of it noise": half[: CHUNK // 2] + noise[CHUNK // 2 :]}
    sealings = {"not sealed": PLAIN, "sealed": Sealed(ring), "by a write-only key": Sealed(ring.for_a_writer())}
    print("| 256 KiB of | | to store it | to read it |\n|---|---|---|---|")
    for content, chunk in contents.items():
        for name, sealing in sealings.items():
            digests = Digests("blake3", ring.ids, sealing)
            reading = Digests("blake3", ring.ids, Sealed(ring) if sealing.flags else PLAIN)
            room = memoryview(bytearray(CHUNK))

            def encode(digests: Digests = digests, chunk: bytes = chunk) -> Encoded:
                blob_id = digests.blob_id(BlobKind.CHUNK, chunk)
                return encoded_blob(digests, BlobKind.CHUNK, blob_id, CHUNK, codecs.encode(memoryview(chunk)))

            blob = encode()
            row = head(blob.id, blob.kind, blob.codec, blob.plain_length, blob.size)

            def decode(
                reading: Digests = reading, blob: Encoded = blob, row: bytes = row, room: memoryview = room
            ) -> None:
                assert reading.of_blob(row, blob.payload) == blob.digest
                codecs.decode_into(blob.codec, reading.sealing.open_data(blob.payload, row), room)
                assert reading.blob_id(BlobKind.CHUNK, room) == blob.id

            print(f"| {content} | {name} | {micros(encode):.0f} µs | {micros(decode):.0f} µs |")


if __name__ == "__main__":
    main()
