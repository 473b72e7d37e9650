#!/usr/bin/env python3
"""Put an image back into a file with nothing of holdstill installed: restore_image.py REPO_DIR IMAGE_PREFIX OUTFILE

Reads a repository in a local directory (files named by keys). Needs Python 3.11, the package 'zstandard' if the
repository is compressed with zstd and 'blake3' if it is digested with BLAKE3; its config says which.
The format is told in docs/reference/repository-format.md.
"""

import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

HEADER = struct.Struct("<8sBBHQ")  # magic, kind, version, flags, length of the body
ROW = struct.Struct("<32sBBII16s")  # id, kind, codec, plain length, encoded length, digest
HEAD = ROW.size - 16
CHUNK, PAGE = 1, 2
ZERO_ID = bytes(32)


def blake2b(key, data):
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def blake3(key, data):
    import blake3 as wheel

    return wheel.blake3(data, key=key).digest()


def unseal(keyed, key, name, data, kind):
    """The JSON in an object: magic, version and kind right, and every byte under the digest, with its name."""
    magic, its_kind, version, flags, length = HEADER.unpack_from(data)
    if (magic, its_kind, version, flags, length + 52) != (b"HOLDSTIL", kind, 1, 0, len(data)):
        sys.exit(f"{name}: not an object of kind {kind} in format version 1")
    if keyed(key, struct.pack("<I", len(name)) + name.encode() + data[:-32]) != data[-32:]:
        sys.exit(f"{name}: damaged")
    return json.loads(data[HEADER.size : -32])


class Repository:
    def __init__(self, folder):
        self.folder = Path(folder)
        data = (self.folder / "config").read_bytes()
        self.config = unseal(blake2b, blake2b(bytes(32), b"holdstill v1 config"), "config", data, 1)
        self.keyed = {"blake2b": blake2b, "blake3": blake3}[self.config["digest"]]
        self.places = {}  # (kind, id) -> where: file, offset, row
        for pack in sorted(self.folder.glob("packs/*/*")):
            self.read_footer(pack)

    def key(self, use):
        return self.keyed(bytes.fromhex(self.config["key"]), f"holdstill v1 {use}".encode())

    def read_footer(self, pack):
        """Note where each blob of a pack is, unless its rows are not what their digest says."""
        name, size = pack.relative_to(self.folder).as_posix(), pack.stat().st_size
        with pack.open("rb") as file:
            head = file.read(HEADER.size)
            file.seek(max(size - 36, 0))
            count = int.from_bytes(file.read(4), "little")
            file.seek(max(size - 36 - count * ROW.size, 0))
            footer = file.read()
        signed = struct.pack("<I", len(name)) + name.encode() + head + footer[:-32]
        if self.keyed(self.key("pack"), signed) != footer[-32:]:
            print(f"{name}: damaged, left out", file=sys.stderr)
            return
        at = HEADER.size
        for row in ROW.iter_unpack(footer[:-36]):
            self.places.setdefault((row[1], row[0]), []).append((pack, at, row))
            at += row[4]

    def blob(self, kind, blob_id):
        """The plain bytes of a blob, from the first pack whose copy is what it should be."""
        for pack, at, row in self.places.get((kind, blob_id), []):
            with pack.open("rb") as file:
                file.seek(at)
                encoded = file.read(row[4])
            if self.keyed(self.key("blob"), ROW.pack(*row)[:HEAD] + encoded)[:16] == row[5]:
                plain = decode(row[2], encoded, row[3])
                if self.keyed(self.key("chunk-id" if kind == CHUNK else "page-id"), plain) == blob_id:
                    return plain
        sys.exit(
            f"{'chunk' if kind == CHUNK else 'page'} {blob_id.hex()} is missing or damaged: the image is not whole"
        )

    def image(self, prefix):
        found = []
        for path in self.folder.glob(f"images/*-{prefix}*"):
            data = path.read_bytes()
            if data[8:9] == b"\x03":  # an image; the others are voids
                found.append(unseal(self.keyed, self.key("object"), f"images/{path.name}", data, 3))
        if len(found) != 1:
            sys.exit(f"{len(found)} images begin with {prefix!r}")
        return found[0]

    def chunk_ids(self, root, height, count):
        """(place, id) of each chunk that is not all zero. A page that is all zero is skipped whole."""
        todo = [(root, height, 0)]
        while todo:
            blob_id, level, first = todo.pop()
            if blob_id == ZERO_ID or first >= count:
                continue
            if level == 0:
                yield first, blob_id
                continue
            page, reach = self.blob(PAGE, blob_id), self.config["fanout"] ** (level - 1)
            children = [(page[at : at + 32], level - 1, first + at // 32 * reach) for at in range(0, len(page), 32)]
            todo += reversed(children)


def decode(codec, encoded, plain_length):
    if codec == 2:
        import zstandard

        return zstandard.ZstdDecompressor().decompress(encoded, max_output_size=plain_length)
    return zlib.decompress(encoded) if codec == 1 else encoded


def main(folder, prefix, outfile):
    repository = Repository(folder)
    image = repository.image(prefix)
    tree = image["chunks"]
    with Path(outfile).open("xb") as out:
        for place, chunk in repository.chunk_ids(bytes.fromhex(tree["root"]), tree["height"], tree["count"]):
            out.seek(place * image["chunk_size"])
            out.write(repository.blob(CHUNK, chunk))
        out.truncate(image["volume"]["size"])
    print(f"image {image['id']} of {image['volume']['path']}, {image['volume']['size']} bytes, is in {outfile}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
