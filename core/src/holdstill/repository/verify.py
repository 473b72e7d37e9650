"""Is everything that is stored what was stored, and does every image have what it needs?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np

from holdstill.errors import ObjectMissing, RepositoryError
from holdstill.model.events import Event
from holdstill.model.image import Image
from holdstill.model.results import VerifyResult
from holdstill.repository import layout
from holdstill.repository.condition import Condition
from holdstill.repository.config import Config
from holdstill.repository.coverage import Coverage
from holdstill.repository.findings import Findings
from holdstill.repository.index import Flags
from holdstill.repository.layout import CONFIG, LEDGER
from holdstill.repository.loading import Shelf
from holdstill.repository.repository import Repository
from holdstill.repository.scrub import scrub
from holdstill.spi.meter import Meter

Tell = Callable[[Event], None]


def verify(
    repository: Repository,
    images: Sequence[Image] | None,
    *,
    read_data: bool,
    tell: Tell,
    cancelled: Callable[[], bool],
) -> VerifyResult:
    """Check config, ledger, records, segments, and that all pages and chunks of the images are there.

    ``images`` None means all, and the packs that no image needs too. ``read_data`` reads those packs whole and checks
    every byte. Raises ``Cancelled`` and ``TargetError``; damage is in the result. Memory: about 100 bytes a chunk.
    """
    return _Verification(repository, images, read_data, tell, cancelled).run()


@attrs.define
class _Verification:
    _repository: Repository
    _chosen: Sequence[Image] | None
    _read_data: bool
    _tell: Tell
    _cancelled: Callable[[], bool]
    _findings: Findings = attrs.field(factory=Findings)
    _read_size: int = 0

    def run(self) -> VerifyResult:
        began = time.monotonic()
        self._check_config()
        images, named = self._check_records()
        shelf, listed = self._check_segments(named)
        self._check_ledger(shelf.latest_number(listed))
        condition = Condition(shelf.index)
        condition.look_for_packs(self._repository.target, listed, self._findings)
        coverage = self._cover(shelf, condition, images)
        if self._read_data:
            self._scrub(condition, coverage.needed if self._chosen else np.ones_like(condition.good_packs))
            if not condition.all_good:
                self._cover(shelf, condition, images)
        return VerifyResult(
            images=tuple(image.id for image in images),
            hurt_images=self._findings.hurt_images(),
            findings=self._findings.all(),
            packs=len(shelf.index.packs),
            read_size=self._read_size,
            read_data=self._read_data,
            seconds=time.monotonic() - began,
        )

    def _check_config(self) -> None:
        try:
            Config.unsealed(self._repository.target.get(CONFIG))
        except ObjectMissing:
            self._findings.add(CONFIG, "it is missing")
        except RepositoryError as damage:
            self._findings.damage(damage)

    def _check_ledger(self, seen: int) -> None:
        prefix = len(LEDGER)
        listed = [each.key[prefix:] for each in self._repository.target.list(LEDGER)]
        last = max([seen, *(int(number) for number in listed if number.isdecimal() and number.isascii())])
        for damage in self._repository.ledger().examine(last):
            self._findings.damage(damage)

    def _check_records(self) -> tuple[list[Image], set[str]]:
        """The images to check, and every segment that some record names."""
        images: list[Image] = []
        named: set[str] = set()
        for _, record in self._repository.records(exact=False, on_damage=self._record_damage):
            named.update(record.segments)
            if isinstance(record, Image):
                images.append(record)
        return (images if self._chosen is None else list(self._chosen)), named

    def _record_damage(self, damage: RepositoryError) -> None:
        split = layout.split_commit_key(damage.subject)
        self._findings.damage(damage, split[1] if split else None)

    def _check_segments(self, named: set[str]) -> tuple[Shelf, dict[str, int]]:
        """The index as a reader would fill it, and the packs that LIST shows."""
        target = self._repository.target
        shelf = Shelf(target, self._repository.digests)
        shelf.take_listed_segments(self._findings.damage)
        for missing in shelf.take_segments(sorted(named), self._findings.damage):
            self._findings.add(missing, "the index segment is missing")
        listed = shelf.listed_packs()
        shelf.take_orphans(listed, self._findings.damage)
        return shelf, listed

    def _cover(self, shelf: Shelf, condition: Condition, images: Sequence[Image]) -> Coverage:
        """Every image against what is known to be good."""
        reader = self._repository.reader_of(shelf)
        fanout = self._repository.config.fanout
        coverage = Coverage(reader, fanout, condition, self._findings, self._cancelled)
        meter = Meter(self._tell, "verify", self._repository.target.url, sum(image.volume.size for image in images))
        for image in images:
            coverage.check(image, meter.advance)
        return coverage

    def _scrub(self, condition: Condition, wanted: Flags) -> None:
        packs = [(place, pack) for place, pack in enumerate(condition.index.packs) if wanted[place]]
        meter = Meter(self._tell, "scrub", self._repository.target.url, sum(pack.size for _, pack in packs))
        for done in scrub(self._repository.target, self._repository.digests, packs, self._cancelled):
            self._read_size += done.size
            meter.advance(done.size)
            if done.problem and condition.good_packs[done.place]:
                condition.pack_is_bad(done.place, done.problem, self._findings)
            elif done.bad:
                condition.rows_are_bad(done.place, list(done.bad), self._findings)
