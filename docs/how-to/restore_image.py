#!/usr/bin/env python3
"""Put an image back into a file with nothing of holdstill installed: restore_image.py REPO_DIR IMAGE_PREFIX OUTFILE

Reads a repository in a local directory (files named by keys). Needs Python 3.11, the package 'zstandard' if the
repository is compressed with zstd and 'blake3' if it is digested with BLAKE3; its config says which. For a sealed
repository it needs 'cryptography', and the variable HOLDSTILL_PASSWORD or somebody who types the password.
The format is told in docs/reference/repository-format.md.
"""

import getpass
import hashlib
import hmac
import json
import os
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


def bound(name):
    return struct.pack("<I", len(name)) + name.encode()


def body_of(keyed, key, name, data, kind):
    """An object's body: magic, version and kind right, and every byte under the digest, with its name."""
    magic, its_kind, version, flags, length = HEADER.unpack_from(data)
    if (magic, its_kind, version) != (b"HOLDSTIL", kind, 1) or flags > 1 or length + 52 + flags * 160 != len(data):
        sys.exit(f"{name}: not an object of kind {kind} in format version 1")
    end = HEADER.size + length
    if keyed(key, bound(name) + data[:end]) != data[end : end + 32]:
        sys.exit(f"{name}: damaged")
    return data[HEADER.size : end]


PUBLIC_KEY = blake2b(bytes(32), b"holdstill v1 config")


class Plain:
    """What a repository that is not sealed is opened with."""

    box, behind, wrong = 0, 32, ()

    def check(self, what, digest, signature):
        pass

    def opened(self, box, bound_to):
        return box

    def image(self, body, name):
        return body


class Sealed:
    """The same of a sealed one: keys, boxes, signatures."""

    box, behind = 49, 192

    def __init__(self, folder, repository_id):
        from cryptography.exceptions import InvalidSignature, InvalidTag
        from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.ed25519, self.x25519, self.cipher = ed25519.Ed25519PublicKey, x25519, AESGCM
        self.wrong = (InvalidTag, InvalidSignature)
        self.id = bytes.fromhex(repository_id)
        self.ring = self.unlock(folder)
        if self.ring["data"] is None:
            sys.exit("this password may only write")
        uses = enumerate(("index", "data"), 1)
        self.keys = {way: self.hkdf(self.ring[use], f"holdstill v1 {use}".encode()) for way, use in uses}

    def hkdf(self, secret, use):
        secret = bytes.fromhex(secret) if isinstance(secret, str) else secret
        return hmac.digest(hmac.digest(self.id, secret, "sha256"), use + b"\x01", "sha256")

    def unlock(self, folder):
        password = os.fsencode(os.environ.get("HOLDSTILL_PASSWORD") or getpass.getpass())
        for path in sorted(folder.glob("keys/*")):
            name = f"keys/{path.name}"
            key = json.loads(body_of(blake2b, PUBLIC_KEY, name, path.read_bytes(), 11))
            cost, salt = key["cost"], bytes.fromhex(key["salt"])
            stretched = hashlib.scrypt(password, salt=salt, **cost, maxmem=1 << 30, dklen=32)
            told = json.dumps({**cost, "salt": key["salt"]}, sort_keys=True, separators=(",", ":"))
            aad = bound(name) + told.encode()
            wrapping = hmac.digest(stretched, b"holdstill v1 wrap", "sha256")
            try:
                ring = json.loads(self.cipher(wrapping).decrypt(bytes(12), bytes.fromhex(key["ring"]), aad))
            except self.wrong:
                continue  # another password's
            if ring["repository_id"] == self.id.hex():
                return ring
        sys.exit("the password opens no key")

    def check(self, what, digest, signature):
        public, certificate, signed = signature[:32], signature[32:96], signature[96:]
        authority = self.ed25519.from_public_bytes(bytes.fromhex(self.ring["authority"]))
        authority.verify(certificate, b"holdstill v1 writer" + self.id + public)
        self.ed25519.from_public_bytes(public).verify(signed, b"holdstill v1 " + what + self.id + digest)

    def opened(self, box, bound_to):
        """What is in a box; the cipher raises if it is not what was put there."""
        way, rest = box[0], box[1:]
        key = self.keys.get(way)
        if way == 3:
            ephemeral, rest = rest[:32], rest[32:]
            key = self.shared(ephemeral)
        return self.cipher(hmac.digest(key, rest[:32] + b"\x01", "sha256")).decrypt(bytes(12), rest[32:], bound_to)

    def shared(self, ephemeral):
        if ephemeral not in self.keys:
            mine = self.x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(self.ring["opening"]))
            secret = mine.exchange(self.x25519.X25519PublicKey.from_public_bytes(ephemeral))
            use = b"holdstill v1 to" + ephemeral + bytes.fromhex(self.ring["recipient"])
            self.keys[ephemeral] = self.hkdf(secret, use)
        return self.keys[ephemeral]

    def image(self, body, name):
        return self.opened(body[4 + int.from_bytes(body[:4], "little") :], b"image" + bound(name))


class Repository:
    def __init__(self, folder):
        self.folder = Path(folder)
        data = (self.folder / "config").read_bytes()
        self.config = json.loads(body_of(blake2b, PUBLIC_KEY, "config", data, 1))
        self.sealing = Sealed(self.folder, self.config["repository_id"]) if data[10] else Plain()
        self.sealing.check(b"object", data[-192:-160], data[-160:])
        self.master = bytes.fromhex(self.sealing.ring["ids"] if data[10] else self.config["key"])
        self.keyed = {"blake2b": blake2b, "blake3": blake3}[self.config["digest"]]
        self.places = {}  # (kind, id) -> where: file, offset, row
        for pack in sorted(self.folder.glob("packs/*/*")):
            self.read_footer(pack)

    def key(self, use):
        return self.keyed(self.master, f"holdstill v1 {use}".encode())

    def read_footer(self, pack):
        """Note where each blob of a pack is, unless its rows are not what their digest says."""
        name, size = pack.relative_to(self.folder).as_posix(), pack.stat().st_size
        with pack.open("rb") as file:
            head = file.read(HEADER.size)
            behind = self.sealing.behind
            file.seek(max(size - behind - 4, 0))
            count = int.from_bytes(file.read(4), "little")
            file.seek(max(size - behind - 4 - count * ROW.size - self.sealing.box, 0))
            footer = file.read()
        signed, digest, signature = footer[:-behind], footer[-behind:][:32], footer[-behind:][32:]
        if self.keyed(self.key("pack"), bound(name) + head + signed) != digest:
            print(f"{name}: damaged, left out", file=sys.stderr)
            return
        try:
            self.sealing.check(b"pack", digest, signature)
            rows = ROW.iter_unpack(self.sealing.opened(signed[:-4], bound(name) + head))
        except self.sealing.wrong:
            print(f"{name}: not of who may write, left out", file=sys.stderr)
            return
        at = HEADER.size
        for row in rows:
            self.places.setdefault((row[1], row[0]), []).append((pack, at, row))
            at += row[4]

    def blob(self, kind, blob_id):
        """The plain bytes of a blob, from the first pack whose copy is what it should be."""
        for pack, at, row in self.places.get((kind, blob_id), []):
            with pack.open("rb") as file:
                file.seek(at)
                encoded = file.read(row[4])
            row_head = ROW.pack(*row)[:HEAD]
            if self.keyed(self.key("blob"), row_head + encoded)[:16] == row[5]:
                try:
                    plain = decode(row[2], self.sealing.opened(encoded, row_head), row[3])
                except Exception as error:  # noqa: BLE001  # the cipher's or codec's: somebody stored what is none
                    print(f"{pack}: {error!r}, left out", file=sys.stderr)
                    continue
                if self.keyed(self.key("chunk-id" if kind == CHUNK else "page-id"), plain) == blob_id:
                    return plain
        what = "chunk" if kind == CHUNK else "page"
        sys.exit(f"{what} {blob_id.hex()} is missing or damaged: the image is not whole")

    def image(self, prefix):
        found = []
        for path in self.folder.glob(f"images/*-{prefix}*"):
            data, name = path.read_bytes(), f"images/{path.name}"
            if data[8:9] == b"\x03":  # an image; the others are voids
                box = body_of(self.keyed, self.key("object"), name, data, 3)
                self.sealing.check(b"object", data[-192:-160], data[-160:])
                body = self.sealing.opened(box, bound(name) + data[: HEADER.size])
                found.append(json.loads(self.sealing.image(body, name)))
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
