"""Blobs out of packs and into others, cut into tasks that take some reads each: what such a task is, and does."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from holdstill.errors import Damaged
from holdstill.model.buffers import Buffer
from holdstill.repository import layout
from holdstill.repository.blobs import BlobReader, PackRead
from holdstill.repository.crews import Crew
from holdstill.repository.digests import Digests
from holdstill.repository.index import Place
from holdstill.repository.layout import BlobKind
from holdstill.repository.packs import PackBuilder
from holdstill.repository.rows import Encoded, Rows
from holdstill.repository.uploads import Uploads

#: plain bytes of a load, for each encoded one that it may have: what is packed well takes long to open
_PLAIN: Final = 4


@attrs.frozen
class Load:
    """Reads of one task."""

    reads: tuple[PackRead, ...] = attrs.field(repr=False)
    store: bool = True
    """False: what is in them was stored before, and is only to be named."""


@attrs.frozen(eq=False)
class Carried:
    """What a task came to."""

    names: tuple[tuple[bytes, bytes], ...] = ()
    """The id of each blob where it was read, and where it is stored."""
    fresh: tuple[Encoded, ...] = attrs.field(default=(), repr=False)
    """What is still to be stored."""
    packs: tuple[tuple[str, Rows], ...] = attrs.field(default=(), repr=False)
    """The packs that the task has stored, acknowledged, each with all its rows."""
    left: tuple[PackRead, ...] = ()
    """What could not be read: to be looked for in other packs."""
    read_size: int = 0

    def joined(self, other: Carried) -> Carried:
        """Both."""
        return Carried(
            self.names + other.names,
            self.fresh + other.fresh,
            self.packs + other.packs,
            self.left + other.left,
            self.read_size + other.read_size,
        )


Task = Callable[[Load], Carried]


@attrs.frozen
class Carriers:
    """Who carries."""

    crew: Crew
    load_size: int
    """Encoded bytes to a task."""
    task: Callable[[int, Carrier], Task]
    """What they are told, for the writer of that number; the carrier is the one that does it here."""


@attrs.frozen
class Carrier:
    """What it takes to do a task: a reader here, names and codec there."""

    reader: BlobReader
    name: Callable[[Place, Buffer], bytes]
    """The id there of a blob that was read."""
    known: Callable[[BlobKind, Sequence[bytes]], list[bool]]
    """Does one need not store it?"""
    encode: Callable[[BlobKind, bytes, Buffer], Encoded]

    def carry(self, load: Load) -> Carried:
        """All of it. Damage is told in what is ``left``; raises what targets raise."""
        whole = Carried()
        for read in load.reads:
            try:
                one = self.carry_one(read, store=load.store)
            except Damaged:
                whole = attrs.evolve(whole, left=(*whole.left, read))
            else:
                whole = whole.joined(one)
        return whole

    def carry_one(self, read: PackRead, *, store: bool = True) -> Carried:
        """Read, check, name, and encode what is to be stored. Raises ``Damaged``, and what targets raise."""
        names: list[tuple[bytes, bytes]] = []
        fresh: list[Encoded] = []
        room = memoryview(bytearray(read.plain_size))
        for place, plain in self.reader.fetch_into(read, room):
            kind, name = BlobKind(place.kind), self.name(place, plain)
            names.append((place.id, name))
            if store and not all(self.known(kind, [name])):
                fresh.append(self.encode(kind, name, plain))
        return Carried(tuple(names), tuple(fresh), read_size=read.length)


def is_enough(reads: Sequence[PackRead], size: int) -> bool:
    """Are they more than a load?"""
    return sum(read.length for read in reads) > size or sum(read.plain_size for read in reads) > _PLAIN * size


def store(
    uploads: Uploads, digests: Digests, number: int, blobs: Iterable[Encoded], pack_size: int
) -> tuple[tuple[str, Rows], ...]:
    """Put these blobs into packs of the writer ``number``. Every pack is acknowledged when this returns."""
    packs: list[tuple[str, Rows]] = []
    builder = PackBuilder()

    def send() -> None:
        key = layout.pack_key(number, secrets.token_hex(16))
        rows = builder.rows()
        uploads.put(key, builder.seal(digests, key), lambda: None)
        packs.append((key, rows))

    for blob in blobs:
        builder.add(blob)
        if builder.size >= pack_size:
            send()
            builder = PackBuilder()
    if builder.count:
        send()
    uploads.wait()
    return tuple(packs)
