"""Where each blob is: the rows of all known packs, in memory or, where there is a folder for it, on disk."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import HoldstillError
from holdstill.repository import layout, packs, runs
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.pack_table import KnownPack, PackTable
from holdstill.repository.parts import Part, Recent
from holdstill.repository.rows import Rows
from holdstill.repository.runs import ROW, Places, Run

__all__ = ["Flags", "Index", "KnownPack", "Place", "Usable", "mark_of"]

Flags = NDArray[np.bool_]
#: which of some rows may be taken
Usable = Callable[[Rows], Flags]
#: makes an empty file for a run
NewFile = Callable[[], IO[bytes]]

#: what ``locate`` hands back: the row, which pack, where in it, and the row's number in the index
_FOUND: Final = np.dtype([*ROW.descr, ("pack", "<u4"), ("ordinal", "<u4")])
#: so many rows are held in memory before they go to disk
SPILL: Final = 1 << 18
#: a run on disk is joined with those after it once they have this share of its rows
_LATER: Final = 4
#: so many runs are looked through before they are joined
_MOST_RUNS: Final = 32
#: packs that are looked at when an index is opened that was on disk
_SAMPLE: Final = 16
#: the number of no writer
_NOBODY: Final = 0


@attrs.frozen
class Place:
    """Where a blob is, and what its row says. Offsets and lengths in bytes."""

    pack: int
    """The pack's place in ``Index.packs``."""
    key: str
    offset: int
    id: bytes
    kind: int
    codec: int
    plain_length: int
    length: int
    digest: bytes
    ordinal: int
    """The row's number in this index: small, and its own for ever."""


class Index:
    """All rows that are known. Looking is thread-safe, also while a pack is added; adding is serialised.

    The rows that came last are in memory. Given a folder, those before are in runs on its disk: then the memory is the
    same however many rows there are.
    """

    def __init__(
        self,
        folder: Path | None = None,
        known: PackTable | None = None,
        on_disk: Iterable[Run] = (),
        pack_extra: int = 0,
    ) -> None:
        """``folder`` for nameless scratch files; the packs that are ``known`` already have their rows ``on_disk``;
        ``pack_extra``: how many bytes longer packs are than their blobs and rows imply, as they are sealed.
        """
        self.packs = PackTable() if known is None else known
        self._folder = folder
        self._pack_extra = pack_extra
        self.new_file: NewFile | None = None
        """Makes the files of runs; without it they are scratch files in the folder."""
        self.runs = tuple(on_disk)
        self._open = weakref.WeakSet(self.runs)
        """Every run that somebody may still look into."""
        self.row_count = sum(run.count for run in self.runs)
        self._recent = Recent(self.row_count)
        self._parts: tuple[Part, ...] = ()
        self._lock = threading.Lock()
        self._sound = np.zeros(len(self.packs), dtype=np.bool_)
        self._unsound = np.zeros(len(self.packs), dtype=np.bool_)
        self._superseded: set[int] = set()
        self.on_unsound: Callable[[], None] = _scratch_changed
        """Called when rows on disk are not what they were: they are passed over unless it raises."""
        self._arrange()

    # --- adding ---------------------------------------------------------------------------------

    def place_of(self, key: str) -> int | None:
        """The pack's place in ``packs``, or None."""
        return self.packs.place_of(key)

    def add(self, found: Iterable[tuple[str, Rows]]) -> None:
        """Take in packs with all their rows; a pack that is known already is passed over."""
        with self._lock:
            fresh = []
            for key, stored in found:
                if self.packs.place_of(key) is None:
                    size, count = packs.size_of(stored, self._pack_extra), len(stored)
                    self.packs.append(key, size, count, self.row_count, mark_of(stored))
                    self.row_count += count
                    fresh.append(stored)
            if fresh:
                self._recent.sort_in(self._recent.add(fresh))
                self._arrange()
                if self._recent.count >= SPILL and self._folder is not None:
                    self._spill()

    def supersede(self, place: int, stored: Rows) -> None:
        """What was believed of this pack, in an index that is all in memory or scratch, is wrong: these are its rows.

        Its old place stands from then on for a pack that nobody has, in which nothing is found.
        """
        with self._lock:
            key = self.packs[place].key
            split = layout.split_pack_key(key)
            assert split is not None, key
            self._superseded.add(place)
            self.packs.rename(place, layout.pack_key(_NOBODY, split[1]))
        self.add([(key, stored)])

    def stands_for_none(self, place: int) -> bool:
        """Was what was believed of the pack at this place superseded?"""
        return place in self._superseded

    def settle(self) -> None:
        """Everything goes to disk, in few runs. Raises ``HoldstillError`` if there is no room."""
        with self._lock:
            if self._recent.count:
                self._spill()
            self._join()

    def gather(self) -> None:
        """What lies in many runs is joined, so that all of it is asked at little cost. Raises as ``settle``."""
        if len(self.runs) > 1:
            self.settle()

    def _spill(self) -> None:
        rows = self._recent.rows[: self._recent.count]
        run = self._written(lambda file: runs.write(file, rows))
        self.runs = (*self.runs, run)
        self._recent = Recent(self.row_count)
        if len(self.runs) > _MOST_RUNS:
            self._join()
        self._arrange()

    def _join(self) -> None:
        """The latest runs become one, as far back as it is worth it."""
        at = max(len(self.runs) - 1, 0)
        later = sum(run.count for run in self.runs[at:])
        while at > 0 and self.runs[at - 1].count < _LATER * later:
            at -= 1
            later += self.runs[at].count
        if len(self.runs) - at > 1:
            joined = self._written(lambda file: runs.join(file, self.runs[at:]))
            self.runs = (*self.runs[:at], joined)
        self._arrange()

    def _written(self, write: Callable[[IO[bytes]], Run]) -> Run:
        try:
            with (self.new_file or self._scratch_file)() as file:
                run = write(file)
                self._open.add(run)
                return run
        except OSError as error:
            raise HoldstillError(
                f"the index cannot be written: {error.strerror}",
                subject=str(self._folder),
                next_step="make room there, or set HOLDSTILL_STATE to a folder that has some and that you may write to",
            ) from error

    def close(self) -> None:
        """Let go of all files. Nothing may be looked for afterwards."""
        for run in list(self._open):
            run.close()

    def _scratch_file(self) -> IO[bytes]:
        """A file without a name, which goes with the process. Raises OSError."""
        assert self._folder is not None, "only an index with a place for files has runs"
        return tempfile.TemporaryFile(dir=self._folder)

    def _arrange(self) -> None:
        known = {part.run: part for part in self._parts if part.run is not None}
        parts, first = [], 0
        for run in self.runs:
            parts.append(known[run] if run in known else Part.of(run, first))
            first += run.count
        self._parts = (*parts, self._recent.part())

    # --- looking --------------------------------------------------------------------------------

    def places(self, kind: BlobKind, blob_id: bytes) -> list[Place]:
        """Every place of a blob, oldest row first."""
        prefix = runs.prefixes_of(np.frombuffer(blob_id, dtype=[("id", f"V{ID_SIZE}")]))
        found = []
        for part in self._parts:
            for table in part.tables:
                some, sound = self._found(part, table.find(prefix)[1])
                found += [
                    self.place(row) for row in some[sound] if row["kind"] == kind and row["id"].tobytes() == blob_id
                ]
        return found

    def locate(self, kind: BlobKind, ids: bytes, usable: Usable) -> tuple[Flags, Rows]:
        """For each of many ids (32 bytes each, none zero): is there a row that is ``usable``, and the oldest such.

        Rows that were not found are undefined; a row has the fields of ``STORED``, and pack, offset and ordinal.
        """
        asked, prefixes = _words(ids), np.frombuffer(ids, dtype=">u8")[:: ID_SIZE // 8].astype(np.uint64)
        seen = np.zeros(len(asked), dtype=np.bool_)
        chosen = np.zeros(len(asked), dtype=_FOUND)
        left = np.arange(len(asked))
        for part in self._parts:
            for table in part.tables:
                which, wheres = table.find(prefixes[left])
                if not wheres.size:
                    continue
                found, good = self._found(part, wheres)
                at = left[which]
                good &= (_words(found["id"].tobytes()) == asked[at]).all(axis=1) & (found["kind"] == kind)
                good &= usable(found)
                at = at[good]
                oldest = np.append(True, at[1:] != at[:-1])[: at.size]  # rows of one id are beside each other
                chosen[at[oldest]] = found[good][oldest]
                seen[at] = True
                left = left[~seen[left]]
                if not left.size:
                    return seen, chosen
        return seen, chosen

    def _found(self, part: Part, wheres: Places) -> tuple[Rows, Flags]:
        """The rows at these places, and which of them are still what they were when they were taken in."""
        found = runs.widened(part.rows(wheres), _FOUND)
        found["ordinal"] = ordinals = wheres.astype(np.int64) + part.first
        found["pack"] = owners = self.packs.owners(ordinals)
        sound = np.ones(wheres.size, dtype=np.bool_) if part.run is None else self._are_sound(owners)
        return found, sound & ~np.isin(owners, list(self._superseded)) if self._superseded else sound

    def _are_sound(self, owners: NDArray[np.int64]) -> Flags:
        """Of packs whose rows are on disk: each is looked at once."""
        if len(self._sound) < len(self.packs):
            with self._lock:
                short = max(0, len(self.packs) - len(self._sound))
                self._unsound = np.concatenate((self._unsound, np.zeros(short, dtype=np.bool_)))
                self._sound = np.concatenate((self._sound, np.zeros(short, dtype=np.bool_)))
        sound = self._sound[owners]
        if sound.all():
            return sound
        for place in sorted(set(owners[~(sound | self._unsound[owners])].tolist())):
            known = self.packs[place]
            if mark_of(self._stored(known)) == known.mark:
                self._sound[place] = True
            else:
                self._unsound[place] = True
                self.on_unsound()
        return self._sound[owners]

    def _stored(self, known: KnownPack) -> Rows:
        part = next(part for part in reversed(self._parts) if part.first <= known.first)
        return part.span(known.first, known.rows)

    def pass_over(self, places: Flags) -> None:
        """Find nothing in these packs, whose rows are on disk, until ``use`` is told of one."""
        self._sound[: len(places)] &= ~places
        self._unsound[: len(places)] |= places

    def use(self, places: NDArray[np.int64]) -> None:
        """Find again what is in these packs, if they were passed over."""
        self._unsound[places[places < len(self._unsound)]] = False

    def start_over(self) -> None:
        """Find nothing in what is on disk; every pack may be taken in once more, at a new place."""
        with self._lock:
            self._sound[:] = False
            self._unsound[:] = True
            self.packs.start_over()

    def holds_together(self) -> bool:
        """Is what is on disk what it was? Looks at a few packs: that all is damaged must be noticed here, that
        little is costs only what is not found.
        """
        for place in range(0, len(self.packs), max(1, len(self.packs) // _SAMPLE)):
            known = self.packs[place]
            stored = self._stored(known)
            if not known.rows or mark_of(stored) != known.mark:
                return False
            for kind in BlobKind:
                ids = stored["id"][stored["kind"] == kind].tobytes()
                if ids and not self.locate(kind, ids, lambda rows: np.ones(len(rows), dtype=np.bool_))[0].all():
                    return False
        return True

    def rows_of(self, wanted: Flags) -> Iterator[tuple[str, Rows]]:
        """Key and rows, as they are stored, of each pack that has a flag in ``wanted``."""
        for place in np.flatnonzero(wanted).tolist():
            if not self._are_sound_or_new(place):
                continue
            known = self.packs[place]
            yield known.key, self._stored(known)

    def _are_sound_or_new(self, place: int) -> bool:
        on_disk = self.packs[place].first < self._parts[-1].first
        return not on_disk or bool(self._are_sound(np.array([place], dtype=np.int64))[0])

    def place(self, row: Any) -> Place:  # noqa: ANN401  # numpy has no type for one row
        """What a row that ``locate`` found says."""
        blob_id, kind, codec, plain_length, length, digest, offset, pack, ordinal = row.item()
        return Place(pack, self.packs[pack].key, offset, blob_id, kind, codec, plain_length, length, digest, ordinal)


def _words(ids: bytes) -> NDArray[np.uint64]:
    """Ids as rows of four words, to be compared with each other."""
    return np.frombuffer(ids, dtype=np.uint64).reshape(-1, ID_SIZE // 8)


def mark_of(stored: Rows) -> bytes:
    """What tells one pack's rows from others: 16 bytes."""
    return hashlib.blake2b(stored.tobytes(), digest_size=16).digest()


def _scratch_changed() -> None:
    raise HoldstillError(
        "what was written to the scratch folder reads otherwise",
        next_step="Check the disk of the state folder, then try again.",
    )
