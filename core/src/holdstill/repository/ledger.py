"""The ledger: small objects, numbered from 1 without gaps, that order writers and lists of packs that may go."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any, Final

import attrs

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing, TargetError
from holdstill.model.buffers import Buffer
from holdstill.repository import canonical, envelope, layout, rolls
from holdstill.repository.digests import Digests
from holdstill.repository.fields import Fields
from holdstill.repository.kept import KeptObjects
from holdstill.repository.layout import LEDGER, ObjectKind
from holdstill.repository.presence import is_there
from holdstill.repository.rolls import ROLL, place_of
from holdstill.repository.sealing import Signer
from holdstill.spi.target import Target

#: how far past the end one looks for entries that should not be there yet
_AHEAD: Final = (1, 8, 64)
#: how often an append without a reply is sent
_SENDS: Final = 4
#: so many packs are listed in the entry itself, more in an object of their own
_INLINE: Final = 64


@attrs.frozen
class Begin:
    """Somebody starts to write. The entry's place in the ledger is the writer's number."""

    nonce: str
    commit: str
    host: str
    kind: str


@attrs.frozen
class Condemn:
    """These packs may go: nobody who begins later may rely on what they hold."""

    nonce: str
    packs: frozenset[str]
    numbers: frozenset[int]
    """Every pack of these writers."""

    @property
    def is_long(self) -> bool:
        """Is it in an object of its own?"""
        return len(self.packs) > _INLINE

    def names(self, pack: str) -> bool:
        """Is this pack on the list?"""
        split = layout.split_pack_key(pack)
        return pack in self.packs or (split is not None and split[0] in self.numbers)


@attrs.define
class Ledger:
    """What has been read of the ledger. Not thread-safe: each job reads its own."""

    _target: Target
    _digests: Digests
    _exclusive: bool
    _kept: KeptObjects | None = None
    """What this host has read before. Entries never change, so it need not be read again; that the last of them is
    still there is looked at."""
    begun: dict[int, Begin] = attrs.field(factory=dict)
    lists: dict[int, Condemn] = attrs.field(factory=dict)
    closed_packs: set[str] = attrs.field(factory=set)
    closed_numbers: set[int] = attrs.field(factory=set)
    end: int = 0
    """The last entry that was read."""
    _group: list[bytes] = attrs.field(factory=list)
    """The entries of the roll that is not full yet, as they are stored, if all of them were read one by one."""
    _due: dict[int, list[bytes]] = attrs.field(factory=dict)
    """Rolls that nobody seems to have written."""
    _rolled: int = 0
    """The last entry that was taken from a roll."""

    def read(self) -> None:
        """Go on to the end. Raises ``Damaged`` for an entry that cannot be read, or that is missing before others."""
        self._take_kept()
        while self._take_next():
            if self.end % ROLL == 1:
                self._take_roll(place_of(self.end))
        if self._kept is not None:
            self._kept.close()
        self._nothing_beyond()

    def examine(self, last: int) -> Iterator[Damaged | FormatTooNew]:
        """Read everything up to the entry ``last``, and what follows it, past whatever is damaged or missing."""
        while True:
            try:
                if not self._take_next():
                    if self.end >= last:
                        return
                    yield _missing(self.end + 1)
                    self.end += 1
            except (Damaged, FormatTooNew) as damage:
                yield damage
                self.end += 1

    def damaged_rolls(self) -> Iterator[Damaged | FormatTooNew]:
        """What is wrong with the copies of entries that a listing shows."""
        return rolls.damaged(self._target, self._digests)

    def closed(self, pack: str) -> bool:
        """Does a list that was read name this pack?"""
        split = layout.split_pack_key(pack)
        return pack in self.closed_packs or (split is not None and split[0] in self.closed_numbers)

    def append_begin(self, host: str, kind: str, seen: int = 0) -> tuple[int, Begin]:
        """Become a writer: the number, and the entry. All entries before it have been read when this returns.

        ``seen``: the highest number of a writer that was noticed before. Raises ``Damaged`` if the ledger ends below.
        """
        nonce = secrets.token_hex(16)
        while True:
            self.read()
            self.must_reach(seen)
            number = self.end + 1
            entry = Begin(nonce, layout.commit_key(number, nonce), host, kind)
            if self._append(number, entry, {"type": "begin", **attrs.asdict(entry)}):
                self._write_rolls()
                return number, entry

    def must_reach(self, seen: int) -> None:
        """Raises ``Damaged`` if it ends below the number ``seen`` of a writer that was noticed."""
        if self.end < seen:
            raise _missing(self.end + 1)

    def append_condemn(self, packs: Collection[str]) -> int:
        """Append a list of packs that may go; its place. All entries before it have been read when this returns."""
        entry = Condemn(secrets.token_hex(16), frozenset(packs), frozenset())
        named = {"packs": sorted(packs), "numbers": []}
        place = layout.list_key(entry.nonce) if len(packs) > _INLINE else None
        if place is not None:
            self._target.put(place, self._sealed(ObjectKind.LIST, place, named))
            named = {}
        fields = {"type": "condemn", "nonce": entry.nonce, "list": place, **named}
        while True:
            self.read()
            number = self.end + 1
            if self._append(number, entry, fields):
                self._write_rolls()
                return number

    def _sealed(self, kind: ObjectKind, key: str, fields: dict[str, Any]) -> list[Buffer]:
        return envelope.seal(self._digests, kind, key, canonical.encode(fields))

    def _append(self, number: int, entry: Begin | Condemn, fields: dict[str, Any]) -> bool:
        """Is ``entry`` the ledger's entry ``number`` now? Then it is taken in."""
        parts = self._sealed(ObjectKind.LEDGER, layout.ledger_key(number), fields)
        if appended := self._put(number, entry, parts):
            self._take(number, entry, b"".join(parts))
        return appended

    def _write_rolls(self) -> None:
        while self._due:
            place, entries = self._due.popitem()
            rolls.write(self._target, self._digests, place, entries, exclusive=self._exclusive)

    def _put(self, number: int, entry: Begin | Condemn, parts: list[Buffer]) -> bool:
        """Is it there? A lost reply is resolved by looking."""
        key = layout.ledger_key(number)
        if not self._exclusive:
            self._target.put(key, parts)
            return True
        for left in reversed(range(_SENDS)):
            try:
                if self._target.put_if_absent(key, parts):
                    return True
            except TargetError:
                if left == 0:
                    raise
            try:
                return self._entry(number) == entry
            except ObjectMissing:
                continue
        return False

    def _take_kept(self) -> None:
        """Go on as far as this host has read before. Raises ``Damaged`` if the ledger is not what it was then."""
        if self._kept is None or self.end:
            return
        data = None
        while (known := self._kept.get(key := layout.ledger_key(self.end + 1))) is not None:
            try:
                entry = self._parsed(key, known)
            except (Damaged, FormatTooNew):
                break
            data = known
            self._take(self.end + 1, entry, known)
        self._due.clear()
        if data is not None and self._now(layout.ledger_key(self.end)) != data:
            raise Damaged(
                "this host has read another ledger: the repository was set back, or lost what it had",
                subject=layout.ledger_key(self.end),
                next_step="Do not write to it; run verify. If that was meant to be, run `holdstill accept`.",
            )

    def _now(self, key: str) -> bytes | None:
        try:
            return self._target.get(key)
        except ObjectMissing:
            return None

    def _take_next(self) -> bool:
        key = layout.ledger_key(self.end + 1)
        data = self._now(key)
        if data is None:
            return False
        entry = self._parsed(key, data)
        if self._kept is not None:
            self._kept.put(key, data)
        self._take(self.end + 1, entry, data)
        return True

    def _take_roll(self, place: int) -> None:
        """Go on by a roll, if there is one, and it is right."""
        try:
            entries = rolls.read(self._target, self._digests, place)
            taken = [(key, data, self._parsed(key, data)) for key, data in entries]
        except (ObjectMissing, Damaged, FormatTooNew):
            return
        for key, data, entry in taken[1:]:
            if self._kept is not None:
                self._kept.put(key, data)
            self._take(self.end + 1, entry, data)
        self._rolled = self.end
        self._due.pop(place, None)

    def _take(self, number: int, entry: Begin | Condemn, data: bytes) -> None:
        if number % ROLL == 1:
            self._group = []
        self._group.append(data)
        if number % ROLL == 0 and len(self._group) == ROLL:
            self._due[place_of(number)] = self._group
        if isinstance(entry, Begin):
            self.begun[number] = entry
        else:
            self.lists[number] = entry
            self.closed_packs |= entry.packs
            self.closed_numbers |= entry.numbers
        self.end = number

    def _nothing_beyond(self) -> None:
        if self._rolled == self.end > 0 and not is_there(self._target, layout.ledger_key(self.end)):
            raise _missing(self.end)
        for step in _AHEAD:
            if is_there(self._target, layout.ledger_key(self.end + 1 + step)):
                # Others may have appended both since we looked.
                if self._take_next():
                    self.read()
                    return
                raise _missing(self.end + 1)

    def _entry(self, number: int) -> Begin | Condemn:
        key = layout.ledger_key(number)
        return self._parsed(key, self._target.get(key))

    def _parsed(self, key: str, data: bytes) -> Begin | Condemn:
        _, body, signer = envelope.unsealed(self._digests, data, key, ObjectKind.LEDGER)
        fields = Fields(canonical.decode(body, key), key)
        kind = fields.text("type")
        if kind == "begin":
            entry = _begin(fields, key)
        elif kind == "condemn":
            if signer is not Signer.AUTHORITY:
                raise fields.wrong("type", "is nothing that one may say who may only write")
            return self._condemn(fields)
        else:
            raise fields.wrong("type", f"is {kind!r}, which is unknown")
        fields.done()
        return entry

    def _condemn(self, fields: Fields) -> Condemn:
        nonce, place = fields.hexadecimal("nonce", 32), fields.optional_text("list")
        named = fields if place is None else self._list(place, fields)
        entry = Condemn(nonce, *_named(named))
        named.done()
        fields.done()
        return entry

    def _list(self, key: str, fields: Fields) -> Fields:
        if not layout.is_list_key(key):
            raise fields.wrong("list", "is not the key of a list")
        known = None if self._kept is None else self._kept.get(key)
        if known is not None:
            with suppress(Damaged, FormatTooNew):
                return self._unsealed_list(key, known)
        try:
            data = self._target.get(key)
        except ObjectMissing as error:
            raise Damaged("the ledger names it, and it is missing", subject=key) from error
        named = self._unsealed_list(key, data)
        if self._kept is not None:
            self._kept.put(key, data)
        return named

    def _unsealed_list(self, key: str, data: bytes) -> Fields:
        _, body = envelope.unseal(self._digests, data, key, ObjectKind.LIST)
        return Fields(canonical.decode(body, key), key)


def _begin(fields: Fields, key: str) -> Begin:
    nonce = fields.hexadecimal("nonce", 32)
    entry = Begin(nonce, fields.text("commit"), fields.text("host"), fields.text("kind"))
    if entry.commit != layout.commit_key(int(key.removeprefix(LEDGER)), nonce):
        raise fields.wrong("commit", "is not this entry's commit key")
    return entry


def _named(fields: Fields) -> tuple[frozenset[str], frozenset[int]]:
    packs, numbers = fields.texts("packs"), fields.items("numbers")
    if not all(layout.split_pack_key(pack) for pack in packs):
        raise fields.wrong("packs", "names something that is no pack")
    if not all(type(number) is int for number in numbers):
        raise fields.wrong("numbers", "holds something that is no number")
    return frozenset(packs), frozenset(numbers)


def _missing(number: int) -> Damaged:
    return Damaged(
        "it is missing, though later ones were given out",
        subject=layout.ledger_key(number),
        next_step="Do not write to this repository; run verify.",
    )
