"""Giving back what no image needs, beside running backups and other prunes: lists, waiting, copying, deleting.

Every step may be interrupted, repeated, and done twice. Why no committed image is lost in any order of steps is told
in docs/explanation/concurrency.md; the steps have the names that they have there.
"""

from __future__ import annotations

import datetime as dt
import platform
import time
from collections.abc import Callable, Collection, Iterator

import attrs
import numpy as np

from holdstill.errors import Cancelled, TargetDenied, TargetLocked
from holdstill.model.events import Event, Noted, StageStarted
from holdstill.model.results import PruneResult
from holdstill.repository.carrying import Carriers
from holdstill.repository.choosing import Choice, choose, room_of
from holdstill.repository.joining import join_segments
from holdstill.repository.layout import BlobKind
from holdstill.repository.repacking import Repacked, Repacking
from holdstill.repository.repository import Repository
from holdstill.repository.session import Kept, unkept
from holdstill.repository.standing import LONGEST_LIST, Standing, homeless

Tell = Callable[[Event], None]


@attrs.define
class Prune:
    """One prune of one repository."""

    _repository: Repository
    _tell: Tell
    _cancelled: Callable[[], bool]
    _repack_below: float = 0.5
    _fence: bool = False
    _kept: Kept = unkept
    _elsewhere: Carriers | None = None
    """Who repacks, in place of threads here."""
    standing: Standing = attrs.field(init=False)
    _began: float = attrs.field(factory=time.monotonic)
    _locks: list[dt.datetime] = attrs.field(factory=list)
    """Until when each of the packs is locked that could not be deleted."""

    def __attrs_post_init__(self) -> None:
        self._stage("prune")
        self.standing = Standing(self._repository)

    def planned(self, choice: Choice) -> PruneResult:
        """What ``run`` would come to with this choice, if it had to wait for nobody."""
        going = {*choice.packs, *self._unneeded_on_lists()}
        return self._result(going, set(), Repacked((), choice.copied_size, choice.copied_size), dry_run=True)

    def choose(self) -> Choice:
        """What may go, as far as images are known now."""
        return choose(self.standing, self._repack_below)

    def run(self, choice: Choice) -> PruneResult:
        """Condemn, wait for nobody, copy, look again, delete. Raises ``Cancelled``, ``WorkersLost``, ``Damaged``
        (nothing is deleted while a page or record cannot be read), and what the target raises.
        """
        standing = self.standing
        if standing.undecided and self._given_up():
            choice = self.choose()  # what they had stored may go too
        self._condemn(choice)
        standing.read_ledger()
        if self._fence:
            self._fence_undecided()
        swept, spared, repacked = self._looked_at()
        deleted = set(self._delete(swept - spared))
        join_segments(standing, deleted, self._kept)
        return self._result(deleted, self._on_lists() - deleted - spared, repacked, dry_run=False)

    def _condemn(self, choice: Choice) -> None:
        keys = sorted(self.standing.shelf.index.packs[place].key for place in choice.packs)
        for at in range(0, len(keys), LONGEST_LIST):
            self.standing.ledger.append_condemn(keys[at : at + LONGEST_LIST])

    def _given_up(self) -> bool:
        """Fence whom nobody is to wait for, or whom nobody has heard of for long. Was there anybody?"""
        if self._fence:
            self._fence_undecided()
            return True
        silent = self._repository.silent(self.standing.undecided)
        for number in silent:
            begin = self.standing.undecided[number]
            self._tell(Noted(f"given up: {begin.host} ({begin.kind} {number}) has shown no sign of life for long"))
        if silent:
            self._void(silent, "it showed no sign of life for long")
        return bool(silent)

    def _fence_undecided(self) -> None:
        self._void(self.standing.undecided, "a prune did not wait for it")

    def _void(self, numbers: Collection[int], why: str) -> None:
        for number in numbers:
            self._repository.void(self.standing.undecided[number].commit, why)
        self.standing.read_ledger()

    def _looked_at(self) -> tuple[set[int], set[int], Repacked]:
        """The packs that may go, but for those that hold the only copies of something; after what is worth it was
        copied elsewhere. What one learns of while one looks for copies is left to a later prune: it was not asked for.
        """
        swept = set(self.standing.swept_packs())
        alone = homeless(self.standing) if swept else set()
        moving = self._worth_moving(alone, swept)
        if not moving:
            return swept, self._holding(alone), Repacked()
        self._stage("repack")
        reader = self._repository.reader_of(self.standing.shelf)
        here = platform.node()
        repacking = Repacking(self._repository, reader, here, self._cancelled, self._kept, self._elsewhere)
        repacked = repacking.run(moving)
        # Only now is asked what is open: a copy counts if no list named its pack when ours could be seen by all.
        self.standing.read_ledger()
        self.standing.take_segments(repacked.segments)
        self.standing.doubt(reader)
        swept = set(self.standing.swept_packs())
        return swept, self._holding(homeless(self.standing)), repacked

    def _holding(self, blobs: set[tuple[BlobKind, bytes]]) -> set[int]:
        places = self.standing.shelf.index.places
        return {place.pack for kind, blob_id in blobs for place in places(kind, blob_id)}

    def _worth_moving(self, alone: set[tuple[BlobKind, bytes]], swept: set[int]) -> list[tuple[BlobKind, bytes]]:
        """Of what has no home, that in swept packs of which little is to be copied, and what needs no copying: it only
        has to be named.
        """
        index, flags = self.standing.shelf.index, self.standing.open_packs()
        held: dict[int, int] = dict.fromkeys(swept, 0)
        for kind, blob_id in alone:
            for place in index.places(kind, blob_id):
                if place.pack in held:
                    held[place.pack] += place.length
        poor = {place for place, size in held.items() if size < self._repack_below * room_of(self.standing, place)}
        return sorted(
            (kind, blob_id)
            for kind, blob_id in alone
            if any(place.pack in poor or flags[place.pack] for place in index.places(kind, blob_id))
        )

    def _delete(self, doomed: set[int]) -> Iterator[int]:
        self._stage("delete")
        for place in sorted(doomed):
            if self._cancelled():
                raise Cancelled("the prune was ended")
            try:
                self._repository.target.delete(self.standing.shelf.index.packs[place].key)
            except TargetLocked as locked:
                self._locks.append(locked.until)
            except TargetDenied as refused:
                self._tell(Noted(f"it stays for now: {refused.message}", refused.subject))
            else:
                yield place

    def _unneeded_on_lists(self) -> set[int]:
        swept = set(self.standing.swept_packs())
        return swept - self._holding(homeless(self.standing)) if swept else swept

    def _on_lists(self) -> set[int]:
        """On any list, and there."""
        listed = np.flatnonzero(self.standing.on_list()).tolist()
        return {place for place in listed if self.standing.size_of(place) >= 0}

    def _result(self, gone: set[int], waiting: set[int], repacked: Repacked, *, dry_run: bool) -> PruneResult:
        sizes = self.standing.sizes()
        stay = sizes >= 0
        stay[list(gone)] = False
        return PruneResult(
            deleted_packs=len(gone),
            deleted_size=int(sizes[list(gone)].sum()),
            waiting_packs=len(waiting),
            waiting_size=int(sizes[list(waiting)].sum()),
            kept_packs=int(np.count_nonzero(stay)),
            kept_size=int(sizes[stay].sum()),
            repack_read_size=repacked.read_size,
            repack_stored_size=repacked.stored_size,
            waits_for=tuple(
                f"{begin.host} ({begin.kind} {number})" for number, begin in sorted(self.standing.undecided.items())
            ),
            dry_run=dry_run,
            locked_packs=len(self._locks),
            locked_until=max(self._locks).astimezone(dt.UTC).isoformat() if self._locks else None,
            seconds=round(time.monotonic() - self._began, 3),
            warnings=(
                *(f"cannot be read, so its pack stays: {each}" for each in repacked.lost),
                *(f"it is damaged; run verify: {each}" for each in self.standing.damaged()),
            ),
        )

    def _stage(self, stage: str) -> None:
        self._tell(StageStarted(stage, self._repository.target.url))
