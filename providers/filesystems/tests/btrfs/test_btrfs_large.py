"""The largest file systems, and the most fragmented: few reads, and little memory."""

from __future__ import annotations

import struct
import subprocess
import sys

import attrs
import numpy as np
import pytest

from holdstill_filesystems.crc import CRC32C
from holdstill_testing.btrfs_forge import BLOCK_GROUP_ITEM, EXTENT_TREE, METADATA_ITEM, ROOT_ITEM, ROOT_TREE, Forge
from holdstill_testing.torture import full

pytestmark = pytest.mark.root
GIB, NODE = 1 << 30, 16384
LEAF = np.dtype({"names": ["key", "at", "size"], "formats": ["V17", "<u4", "<u4"], "offsets": [0, 17, 21]})
KEY = np.dtype([("objectid", "<u8"), ("type", "u1"), ("offset", "<u8")])
PER_LEAF, PER_NODE = (NODE - 101) // (25 + 24), (NODE - 101) // 33


def measured(path):
    """What a process of its own says: bytes used, runs, reads, and the most memory that it ever held, KiB."""
    script = """
import sys
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
with FileReader(sys.argv[1]) as reader:
    answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
    total = runs = 0
    for window in answer.windows:
        total, runs = total + window.total, runs + len(window)
    print(total, runs, reader.reads)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    told = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    return [int(word) for word in told.split()]


@pytest.fixture
def allocated(tmp_path, life_of, tool):
    """An image of ``size`` bytes of which ``used`` bytes are allocated by one file."""

    def make(size: int, used: int):
        path = tmp_path / "large.img"
        with path.open("wb") as image:
            image.truncate(size)
        tool("mkfs.btrfs", "-q", "-f", "-K", path)
        with life_of(path) as point:
            tool("fallocate", "-l", str(used), point / "large")
        return path

    return make


def test_a_sparse_16_tib_file_system(allocated):
    """Of hundreds of chunks; in a torture run of thousands."""
    used = (4096 if full() else 128) * GIB

    total, runs, reads, peak_kib = measured(allocated(16383 * GIB, used))

    assert used < total < used + (64 << 20)
    assert runs < 2000
    assert reads < 2000
    assert peak_kib < 150 << 10


@attrs.frozen
class Fragmented:
    """Turns the file of an image into blocks of which every second one is allocated, by a new extent tree.

    Items hold 24 bytes each, whatever they are of: nobody who reads a map needs more.
    """

    forge: Forge

    def spread(self) -> int:
        """How many blocks of data are allocated then."""
        groups = [chunk for chunk in self.forge.chunks() if chunk[2] & 1]
        starts = np.concatenate([start + np.arange(0, length, 8192) for start, length, _, _ in groups])
        root, old = self.forge.root_of(EXTENT_TREE), self.forge.items(self.forge.root_of(EXTENT_TREE))
        kept = [key for key, _ in old if key[1] != 168]
        home = max(key[0] for key, _ in old if key[1] == METADATA_ITEM) + NODE
        count = -(-(starts.size + len(kept)) // PER_LEAF) + 64
        places = home + np.arange(count) * NODE
        keys = np.zeros(starts.size + len(kept) + count, dtype=KEY)
        keys["objectid"] = np.concatenate((starts, [key[0] for key in kept], places))
        keys["type"] = np.concatenate((np.full(starts.size, 168), [key[1] for key in kept], np.full(count, 169)))
        keys["offset"] = np.concatenate((np.full(starts.size, 4096), [key[2] for key in kept], np.zeros(count)))
        keys.sort(order=("objectid", "type"))
        self._plant(root, keys, places, self._values(keys, dict(old), groups, count))
        return int(starts.size)

    def _values(self, keys, old, groups, count):
        """What each item holds: block groups must say the new sums."""
        values = np.zeros((keys.size, 24), dtype=np.uint8)
        total = 0
        data = {start for start, _, _, _ in groups}
        metadata = next(start for start, _, kind, _ in self.forge.chunks() if kind & 4)
        for at in np.flatnonzero(keys["type"] == BLOCK_GROUP_ITEM):
            key = tuple(int(part) for part in keys[at])
            used, more = struct.unpack("<Q16s", old[key])
            used = key[2] // 2 if key[0] in data else used + count * NODE * (key[0] == metadata)
            total += used
            values[at] = np.frombuffer(struct.pack("<Q16s", used, more), dtype=np.uint8)
        self.forge.set(bytes_used=total)
        return values

    def _plant(self, root, keys, places, values) -> None:
        header = np.frombuffer(self.forge.block(root)[:101], dtype=np.uint8)
        generation = struct.unpack_from("<Q", header, 80)[0]
        free = iter(places.tolist())
        level, heads = 0, self._leaves(header, keys, values, free)
        while len(heads) > 1:
            level += 1
            groups = [heads[at : at + PER_NODE] for at in range(0, len(heads), PER_NODE)]
            above = [root] if len(groups) == 1 else [next(free) for _ in groups]
            for group, place in zip(groups, above, strict=True):
                body = b"".join(key.tobytes() + struct.pack("<QQ", child, generation) for key, child in group)
                data = bytearray(header.tobytes() + body.ljust(NODE - 101, b"\0"))
                struct.pack_into("<Q", data, 48, place)
                struct.pack_into("<IB", data, 96, len(group), level)
                self.forge.put(place, bytes(data))
            heads = [(group[0][0], place) for group, place in zip(groups, above, strict=True)]
        self.forge.change(ROOT_TREE, (EXTENT_TREE, ROOT_ITEM, 0), 238, "<B", level)

    def _leaves(self, header, keys, values, free):
        """Write them, some hundreds at once; the first key of each, and its place."""
        heads = []
        ends = NODE - 101 - 24 * np.arange(1, PER_LEAF + 1, dtype=np.uint32)
        for at in range(0, keys.size, PER_LEAF):
            part, count = keys[at : at + PER_LEAF], min(PER_LEAF, keys.size - at)
            leaf = np.zeros(NODE, dtype=np.uint8)
            leaf[:101] = header
            place = next(free)
            leaf[48:56] = np.frombuffer(struct.pack("<Q", place), dtype=np.uint8)
            leaf[96:101] = np.frombuffer(struct.pack("<IB", count, 0), dtype=np.uint8)
            items = np.zeros(count, dtype=LEAF)
            items["key"], items["at"], items["size"] = part.view("V17"), ends[:count], 24
            leaf[101 : 101 + 25 * count] = items.view(np.uint8)
            leaf[NODE - 24 * count :] = values[at : at + count][::-1].reshape(-1)
            leaf[:4] = np.frombuffer(struct.pack("<I", ~CRC32C.one(leaf[32:].tobytes(), 0xFFFFFFFF) % 2**32), "u1")
            for copy in self.forge.places(place):
                self.forge.write(copy, leaf.tobytes())
            heads.append((part[0], place))
        return heads


def test_every_second_block(allocated):
    """Four GiB of it, or 16 in a torture run: a tree of many leaves, of which little is held at once."""
    path = allocated(40 * GIB, (16 if full() else 2) * GIB)
    blocks = Fragmented(Forge(path)).spread()

    total, runs, reads, peak_kib = measured(path)

    assert blocks * 4096 < total < blocks * 4096 * 1.15
    assert blocks < runs < blocks * 1.05
    assert reads < blocks // 100
    assert peak_kib < 200 << 10
