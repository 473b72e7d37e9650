"""Is everything that is stored what was stored, and does every image have what it needs?"""

from __future__ import annotations

import datetime as dt
import itertools
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Final

import attrs
import numpy as np

from holdstill.errors import (
    Cancelled,
    Damaged,
    FormatTooNew,
    ObjectMissing,
    RepositoryError,
    TargetError,
    WorkersLost,
)
from holdstill.model.events import Event, Noted
from holdstill.model.image import Image
from holdstill.model.results import Finding, HurtRanges, VerifyResult
from holdstill.repository import commits, layout
from holdstill.repository.checks import MOST_PACKS, Check, Checks
from holdstill.repository.condition import MISSING, Condition
from holdstill.repository.config import Config
from holdstill.repository.coverage import Coverage
from holdstill.repository.findings import Findings
from holdstill.repository.index import Flags, KnownPack
from holdstill.repository.keys import Keys
from holdstill.repository.layout import CONFIG, LEDGER
from holdstill.repository.ledger import Ledger
from holdstill.repository.listing import Listing
from holdstill.repository.loading import Shelf
from holdstill.repository.reading import Reading, stamp
from holdstill.repository.records import Upkeep
from holdstill.repository.repository import Repository
from holdstill.repository.scrub import Scrubbed, Scrubber
from holdstill.repository.session import Kept, unkept
from holdstill.repository.spreading import Chosen, Scrubbers, scrub, threads
from holdstill.spi.meter import Meter

Tell = Callable[[Event], None]

#: a prune beside us may take packs away while we look; then all is looked at again, so often at most, until two looks
#: in a row find the same
_LOOKS: Final = 10


def verify(
    repository: Repository,
    images: Sequence[Image] | None,
    *,
    read_data: bool,
    tell: Tell,
    cancelled: Callable[[], bool],
    reading: Reading | None = None,
    keep: bool = False,
    kept: Kept = unkept,
    elsewhere: Scrubbers | None = None,
) -> VerifyResult:
    """Check config, ledger, records, marks, segments, and that all pages and chunks of the images are there.

    ``images`` None means all, and the packs that no image needs too. ``read_data`` reads those packs whole and checks
    every byte, or as much as ``reading`` says. With ``keep`` the outcome is stored, and packs that are damaged are put
    on a list in the ledger: no later backup relies on them, so that one that still has the data stores it anew. On
    what hosts stored that may only write, and was read and is good, all may rely from then on; ``kept`` is around that.
    ``elsewhere``: who reads the packs, in place of threads here.
    Raises ``Cancelled``, ``WorkersLost`` and ``TargetError``; damage is in the result. Memory: about 100 bytes a chunk.
    """
    repository.must_read()
    depth = (reading or Reading()) if read_data else None
    before: tuple[Finding, ...] = ()
    for _ in range(_LOOKS):
        work = _Verification(repository, images, depth, keep, tell, cancelled, elsewhere)
        result = work.run()
        if not work.swept_meanwhile or result.findings == before:
            break
        before, images = result.findings, None if images is None else _still_there(repository, images)
    if keep:
        work.keep(result, kept)
    return result


@attrs.define
class _Verification:
    _repository: Repository
    _chosen: Sequence[Image] | None
    _reading: Reading | None
    _keep: bool
    _tell: Tell
    _cancelled: Callable[[], bool]
    _elsewhere: Scrubbers | None
    _ledger: Ledger = attrs.field(init=False)
    _shown: dict[str, int] = attrs.field(factory=dict)
    """The commit keys of images that LIST shows, and their numbers."""
    _condition: Condition = attrs.field(init=False)
    _strange: Flags = attrs.field(init=False)
    """The packs of which only hosts tell that may write and not read."""
    _checks: Checks = attrs.field(init=False)
    _findings: Findings = attrs.field(factory=Findings)
    _read_size: int = 0
    _read_packs: list[str] = attrs.field(factory=list)
    _left_packs: int = 0
    _began: float = attrs.field(factory=time.monotonic)

    def run(self) -> VerifyResult:
        self._check_config()
        images, named = self._check_records()
        shelf, listed = self._check_segments(named)
        self._check_ledger(max([shelf.latest_number(listed), *self._shown.values()]))
        self._check_marks(images)
        condition = self._condition = Condition(shelf.index)
        self._strange = shelf.strangers()
        condition.look_for_packs(self._repository.target, listed, self._may_be_gone, self._findings)
        coverage = self._cover(shelf, condition, images)
        if self._reading is not None:
            wanted = coverage.needed if self._chosen is not None else condition.not_gone()
            gone_before = len(condition.gone)
            self._scrub(condition, wanted, self._reading)
            if not condition.all_good or len(condition.gone) > gone_before:
                coverage = self._cover(shelf, condition, images)
        return VerifyResult(
            images=tuple(image.id for image in images),
            hurt_images=self._findings.hurt_images(),
            findings=self._findings.all(),
            packs=len(shelf.index.packs) - len(condition.gone),
            read_size=self._read_size,
            read_data=self._reading is not None,
            seconds=time.monotonic() - self._began,
            left_packs=self._left_packs,
            hurt_ranges=tuple(
                HurtRanges(image.id, image.volume.path, coverage.lost[image.id])
                for image in images
                if image.id in coverage.lost
            ),
        )

    @property
    def swept_meanwhile(self) -> bool:
        """Did an image seem to need what a prune may have moved elsewhere? Then what is known of it may be old."""
        return any(map(self._may_be_old, self._findings.all()))

    def _may_be_old(self, finding: Finding) -> bool:
        if finding.problem == MISSING:
            return self._may_be_gone(finding.key)
        return bool(finding.images) and finding.key.startswith(("page ", "map ", "chunk "))

    def keep(self, result: VerifyResult, kept: Kept) -> None:
        """Store the outcome, close damaged packs to later backups, and open those of hosts that may only write. What
        the target refuses is told, no more.
        """
        whole = self._reading is not None and not self._left_packs
        parts = [self._read_packs[at : at + MOST_PACKS] for at in range(0, len(self._read_packs), MOST_PACKS)] or [[]]
        try:
            for number, packs in enumerate(parts):
                images = result.images if number == 0 else ()
                hurt = result.hurt_images if number == 0 else ()
                self._checks.add(
                    Check(stamp(dt.datetime.now(dt.UTC)), platform.node(), images, hurt, whole, tuple(packs))
                )
            self._close_damaged()
            self._vouch(kept)
        except (TargetError, RepositoryError) as refused:
            self._tell(Noted(f"the outcome could not be kept: {refused.message}", refused.subject))

    def _close_damaged(self) -> None:
        condition = self._condition
        bad = ~condition.good_packs
        for place, pack in enumerate(condition.index.packs):
            bad[place] |= not condition.good_rows[pack.first : pack.first + pack.rows].all()
        packs = [condition.index.packs[place].key for place in np.flatnonzero(bad).tolist()]
        damaged = [pack for pack in packs if pack not in condition.gone and not self._ledger.closed(pack)]
        if damaged and self._repository.config.single_writer:
            text = (
                "backups go on relying on what is damaged: a verification does not write to a single-writer repository;"
                " when nobody writes, remove the damaged packs by hand, and the next backup stores their chunks anew"
            )
            self._tell(Noted(text, self._repository.target.url))
        elif damaged:
            self._ledger.append_condemn(damaged)

    def _vouch(self, kept: Kept) -> None:
        """Tell ourselves what strangers told of packs in which we have looked at everything."""
        read, index = set(self._read_packs), self._condition.index
        good = np.array([pack.key in read for pack in index.packs], dtype=np.bool_) & self._strange
        if good.any() and not self._repository.config.single_writer:
            with self._repository.begin(platform.node(), "verify") as session, kept(session):
                session.commit_upkeep(index.rows_of(good))
            text = f"{np.count_nonzero(good)} packs of hosts that may only write are good: others may rely on them now"
            self._tell(Noted(text, self._repository.target.url))

    def _check_config(self) -> None:
        try:
            Config.unsealed(self._repository.target.get(CONFIG), self._repository.sealing)
        except ObjectMissing:
            self._findings.add(CONFIG, "it is missing")
        except RepositoryError as damage:
            self._findings.damage(damage)
        if self._repository.config.is_sealed:
            keys = Keys(self._repository.target, self._repository.config)
            for wrong in keys.damaged(self._repository.sealing):
                self._findings.damage(wrong)

    def _check_ledger(self, seen: int) -> None:
        prefix = len(LEDGER)
        listed = [each.key[prefix:] for each in self._repository.target.list(LEDGER)]
        last = max([seen, *(int(number) for number in listed if number.isdecimal() and number.isascii())])
        self._ledger = self._repository.ledger()
        for damage in self._ledger.examine(last):
            self._findings.damage(damage)
        for damage in self._ledger.damaged_rolls():
            self._findings.damage(damage)
        for key, number in self._shown.items():
            if number in self._ledger.lists or (
                number in self._ledger.begun and self._ledger.begun[number].commit != key
            ):
                self._findings.add(key, "the ledger has no entry of this image's writer")

    def _may_be_gone(self, pack: str) -> bool:
        """Does a list name it? One that was appended a moment ago counts too."""
        if not self._ledger.closed(pack):
            for damage in self._ledger.examine(0):
                self._findings.damage(damage)
        return self._ledger.closed(pack)

    def _check_marks(self, images: Sequence[Image]) -> None:
        for damage in self._repository.marks.damaged():
            self._findings.damage(damage)
        for image in self._repository.marks.given_up(images):
            key = layout.commit_key(image.number, image.id)
            if self._is_image_yet(key):
                self._findings.add(key, "it was deleted, and its record is there: delete it again")
        self._checks = Checks(self._repository)
        for damage in self._checks.damaged:
            self._findings.damage(damage)

    def _is_image_yet(self, key: str) -> bool:
        """A deletion that was under way may have come to its end."""
        try:
            return isinstance(commits.state(self._repository.target, self._repository.digests, key), Image)
        except (Damaged, FormatTooNew) as damage:
            self._record_damage(damage)
            return False

    def _check_records(self) -> tuple[list[Image], set[str]]:
        """The images to check, and every segment that some record names."""
        images: list[Image] = []
        named: set[str] = set()
        replaced: set[str] = set()
        for key, record in self._repository.records(exact=False, on_damage=self._record_damage):
            named.update(record.segments)
            if isinstance(record, Image):
                images.append(record)
                self._shown[key] = record.number
            elif isinstance(record, Upkeep):
                replaced.update(record.replaces)
        return (images if self._chosen is None else list(self._chosen)), named - replaced

    def _record_damage(self, damage: RepositoryError) -> None:
        split = layout.split_commit_key(damage.subject)
        self._findings.damage(damage, split[1] if split else None)

    def _check_segments(self, named: set[str]) -> tuple[Shelf, Listing]:
        """The index as a reader would fill it, and the packs that LIST shows."""
        shelf = self._repository.shelf(local=False)
        shelf.take_listed_segments(self._findings.damage)
        missing = shelf.take_segments(sorted(named), self._findings.damage)
        if missing:  # or replaced since the records were read
            named = self._named_now()
            missing = [key for key in missing if key in named]
            missing += shelf.take_segments(sorted(named), self._findings.damage)
        for key in missing:
            self._findings.add(key, "the index segment is missing")
        listed = shelf.listed_packs()
        shelf.take_orphans(listed, self._findings.damage)
        shelf.index.gather()
        for key in shelf.not_believed():
            self._findings.add(key, "it tells of a pack otherwise than others do, and is not believed")
        return shelf, listed

    def _named_now(self) -> set[str]:
        """Every segment that some record names, by the ledger if it can be read, and none stands in for."""
        named: set[str] = set()
        replaced: set[str] = set()
        try:
            decided = list(self._repository.records(exact=True, on_damage=self._record_damage))
        except (Damaged, FormatTooNew):
            decided = list(self._repository.records(exact=False, on_damage=self._record_damage))
        for _, record in decided:
            named.update(record.segments)
            replaced.update(record.replaces if isinstance(record, Upkeep) else ())
        return named - replaced

    def _cover(self, shelf: Shelf, condition: Condition, images: Sequence[Image]) -> Coverage:
        """Every image against what is known to be good."""
        reader = self._repository.reader_of(shelf)
        fanout = self._repository.config.fanout
        coverage = Coverage(reader, fanout, condition, self._findings, self._cancelled)
        meter = Meter(self._tell, "verify", self._repository.target.url, sum(image.volume.size for image in images))
        for image in images:
            coverage.check(image, meter.advance)
        return coverage

    def _scrub(self, condition: Condition, wanted: Flags, reading: Reading) -> None:
        target, moment = self._repository.target, dt.datetime.now(dt.UTC)
        packs = reading.chosen(condition.index.packs, wanted, self._checks.of_pack, moment)
        recent = self._checks.read_since(moment - reading.max_age) if reading.max_age is not None else set()
        fresh = sum(condition.index.packs[place].key in recent for place in np.flatnonzero(wanted).tolist())
        meter = Meter(self._tell, "scrub", target.url, sum(pack.size for _, pack in packs))
        read = 0
        try:
            for done in self._scrubbed(self._until_late(packs, reading)):
                read += 1
                self._read_size += done.size
                meter.advance(done.size)
                if done.problem == MISSING and self._may_be_gone(condition.index.packs[done.place].key):
                    condition.pack_is_gone(done.place)
                elif done.problem and condition.good_packs[done.place]:
                    condition.pack_is_bad(done.place, done.problem, self._findings)
                elif done.bad:
                    condition.rows_are_bad(done.place, list(done.bad), self._findings)
                elif not done.problem:
                    self._read_packs.append(condition.index.packs[done.place].key)
        except (Cancelled, WorkersLost):
            if self._keep and self._read_packs:
                self._checks.add(
                    Check(stamp(dt.datetime.now(dt.UTC)), platform.node(), packs=tuple(self._read_packs[:MOST_PACKS]))
                )
            raise
        self._left_packs = int(np.count_nonzero(wanted)) - read - fresh

    def _scrubbed(self, chosen: Iterable[Chosen]) -> Iterator[Scrubbed]:
        repository, packs = self._repository, self._condition.index.packs
        scrubber = Scrubber(repository.target, repository.digests, repository.codecs, self._strange)
        with nullcontext(self._elsewhere) if self._elsewhere is not None else threads(scrubber.check) as scrubbers:
            for done in scrub(scrubbers, scrubber.check, chosen, self._cancelled):
                # What strangers told of is looked into here: on that others will rely.
                again = self._elsewhere is not None and done.is_well and self._strange[done.place]
                yield scrubber.check(done.place, packs[done.place]) if again else done

    def _until_late(self, packs: list[tuple[int, KnownPack]], reading: Reading) -> Iterator[tuple[int, KnownPack]]:
        end = None if reading.budget is None else time.monotonic() + reading.budget
        return itertools.takewhile(lambda _: end is None or time.monotonic() < end, packs)


def _still_there(repository: Repository, images: Sequence[Image]) -> list[Image]:
    """Those that nobody has deleted meanwhile."""
    keys = {image.id: layout.commit_key(image.number, image.id) for image in images}
    return [
        image
        for image in images
        if isinstance(commits.state(repository.target, repository.digests, keys[image.id]), Image)
    ]
