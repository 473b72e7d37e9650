"""The way of the data, as one sentence: volume, still, block map, chunks, packs, and the record that commits them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Final

import attrs

from holdstill.errors import Cancelled, Fenced, LeftHeld, VolumeChanged, VolumeUnusable
from holdstill.held.journal import Journal
from holdstill.held.marks import Marked, Marks
from holdstill.held.runner import ProcessRunner
from holdstill.held.state import StateFolder
from holdstill.model.choices import provider_settings
from holdstill.model.events import StageStarted, Warned
from holdstill.model.image import Image, Sizes, Unread
from holdstill.model.managed import Managed
from holdstill.model.orders import BackupOrder
from holdstill.model.results import BackupResult
from holdstill.model.volume import Consistency, Mode, VolumeFacts
from holdstill.pipeline import away
from holdstill.pipeline.changes import Changes, copy_changes, since_last
from holdstill.pipeline.commands import Commands
from holdstill.pipeline.copying import Copier
from holdstill.pipeline.counting import Counted
from holdstill.pipeline.deaf import Deaf
from holdstill.pipeline.dynamic import Settled, settle
from holdstill.pipeline.finding import find
from holdstill.pipeline.hold import Holder
from holdstill.pipeline.importing import Import
from holdstill.pipeline.numbers import journalled, void_own_past
from holdstill.pipeline.pace import Pace
from holdstill.pipeline.patience import patiently
from holdstill.pipeline.sheet import Sheet
from holdstill.pipeline.survey import Surveyed, survey
from holdstill.pipeline.telling import told
from holdstill.pipeline.waking import find_awake
from holdstill.pipeline.watching import WatchedStill
from holdstill.plugins.registry import Plugins
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter
from holdstill.spi.reader import Reader
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume

#: held in one of these ways, the volume's users go on while it is read
_OTHERS_GO_ON: Final = (Mode.SNAPSHOT, Mode.DYNAMIC)
#: how often a fenced backup begins again before it gives up
_BEGINNINGS: Final = 5


@attrs.frozen
class Backup:
    """One backup of one volume."""

    plugins: Plugins
    repository: Repository
    state: StateFolder
    request: BackupOrder
    talk: Conversation
    workers: int
    made_by: str
    imported: Import | None = None
    once_held: Callable[[Still], tuple[str, ...]] = attrs.field(default=lambda _: ())
    """Called when it is held and before a byte is read; what it returns is told of the image."""

    def run(self) -> BackupResult:
        """Find, hold, survey, copy, commit, let go. Whatever it raises, nothing is held afterwards, unless it says
        so (``LeftHeld``).
        """
        began = time.monotonic()
        commands = Commands.of(self.request)
        for wrong in self.plugins.unsettable(provider_settings(self.request.provider_settings)):
            raise wrong
        self._stage("identify", self.request.volume)
        image, resumed_size = None, 0
        try:
            with Journal.begin(self.state.journals) as journal, ExitStack() as held:
                volume = self._found(journal, held)
                managed = self._managed(volume, journal)
                still, volume = self._still(volume, journal, commands, held)
                taken = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                notes = self.once_held(still)
                reader = held.enter_context(still.open_reader())
                self._stage("survey", volume.facts.path)
                surveyed = held.enter_context(self._survey(still, reader, volume.facts))
                facts = attrs.evolve(volume.facts, filesystem=surveyed.filesystem)
                if self.imported is not None:
                    facts = self.imported.admitted(facts)
                host = volume.machine.name if volume.machine else platform.node()
                work = _Work(facts, host, still, reader, surveyed, taken, began, journal, managed, notes)
                if self.request.dry_run:
                    return work.planned(self.request.mode)
                image, resumed_size = self._until_committed(work)
                self._keep(work, image)
            return _result(image, work, resumed_size, commands.warnings)
        except LeftHeld as left:
            if image is None:
                raise
            raise _committed_but(left, image) from left

    def _found(self, journal: Journal, held: ExitStack) -> Volume:
        if self.request.dry_run or self.imported is not None:
            return find(self.plugins, self.request.volume)
        steady = ProcessRunner(journal.run, self.state.scratch, Deaf(self.talk))
        asked = HoldRequest(run=journal.run, holds=journal, runner=steady)
        return find_awake(self.plugins, self.request.volume, asked, held, self.talk)

    def _managed(self, volume: Volume, journal: Journal) -> Managed | None:
        """Who manages the volume, as the image keeps it. Raises ``VolumeUnusable`` if its manager objects."""
        if self.imported is not None:
            return self.imported.managed
        local = ProcessRunner(journal.run, self.state.scratch, self.talk)
        manager = self.plugins.manage(volume, away.programs(volume.machine, journal.run, local))
        if manager is None:
            return None
        if objections := manager.objections(self.request.mode, as_raw=self.request.as_raw):
            raise VolumeUnusable("; ".join(objections), subject=volume.facts.path, next_step="nothing was held or read")
        return manager.kept()

    def _still(
        self, volume: Volume, journal: Journal, commands: Commands, held: ExitStack
    ) -> tuple[WatchedStill, Volume]:
        """The still, with everything that gives it back on ``held``; and the volume as it was when it was held."""
        path = volume.facts.path
        self._stage("hold", path)
        runner = ProcessRunner(journal.run, self.state.scratch, self.talk)
        holder = Holder(
            self.plugins, self.repository, self.state, self.request, self.talk, journal.run, journal, runner
        )
        if self.request.dry_run:
            still = WatchedStill(holder.look_only(volume), self.talk, path, growth=False)
            held.callback(still.release)
            return still, volume
        if volume.facts.mounts and self.request.mode is not Mode.DYNAMIC:
            held.enter_context(self.state.reserved(volume.facts.identity or volume.facts.device, path))
        steady = ProcessRunner(journal.run, self.state.scratch, Deaf(self.talk))
        held.callback(commands.run_after, steady, self.talk)
        commands.run_before(journal, runner)
        if commands.before:
            volume = find(self.plugins, self.request.volume)  # the command may have changed who uses it
        with patiently(self.talk, "holding it", path):
            still = WatchedStill(holder.hold(volume), self.talk, path, growth=self.request.cache_growth)
        held.callback(self._release, still, path)
        if still.mode in _OTHERS_GO_ON:
            commands.run_after(steady, self.talk)
        self._unless_cancelled()
        return still, volume

    def _release(self, still: Still, path: str) -> None:
        with patiently(self.talk, "giving it back", path):
            still.release()

    def _until_committed(self, work: _Work) -> tuple[Image, int]:
        """The image, and how much of it runs had stored that ended. A fence only costs another number: what was stored
        is found again, so the second time is reading only.
        """
        void_own_past(self.repository, self.state.journals)
        fenced: Fenced | None = None
        for _ in range(_BEGINNINGS):
            try:
                return self._store(work)
            except Fenced as error:
                if work.still.mode is Mode.FREEZE:
                    raise  # the freeze is over
                fenced = error
                self.talk.tell(Warned(error.id, f"{error}; beginning again", work.facts.path))
        assert fenced is not None
        raise fenced

    def _store(self, work: _Work) -> tuple[Image, int]:
        chunk_size = self.repository.config.chunk_size
        with (
            self.repository.begin(platform.node()) as session,
            journalled(work.journal, self.repository, session),
            Sheet(self.state.scratch, -(-work.reader.size // chunk_size)) as sheet,
            ExitStack() as maps,
        ):
            copier = Copier(
                still=work.still,
                reader=work.reader,
                session=session,
                ids=self.repository.ids,
                sheet=sheet,
                chunk_size=chunk_size,
                talk=self.talk,
                workers=self.workers,
                on_read_error=self.request.on_read_error,
                read_along=self.request.gap_size,
                pace=Pace(self.request.limit_rate, self.talk),
            )
            image = self._commit(work, copier, self._copied(work, copier, maps))
            return image, session.resumed_size

    def _copied(self, work: _Work, copier: Copier, maps: ExitStack) -> Settled:
        meter = Meter(self.talk.tell, "read", work.facts.path, work.surveyed.used_size)
        work.still.expected = work.surveyed.used_size
        notes = self._copy(work, copier, meter)
        meter.tell(copier.session.stored_size)
        if work.still.mode is not Mode.DYNAMIC:
            work.still.all_was_read()
            return Settled(work.surveyed, notes)
        return settle(
            copier,
            work.surveyed,
            lambda: self._survey(work.still, work.reader, work.facts),
            self.state.scratch,
            meter,
            maps,
        )

    def _copy(self, work: _Work, copier: Copier, meter: Meter) -> tuple[str, ...]:
        """All of it, or what changed; what was not asked for is not told of."""
        if not self.request.changed_blocks or not work.still.mark():
            copier.copy(work.surveyed.windows(), meter)
            return ()
        marks = Marks(self.state, self.repository.config.repository_id)
        found = since_last(self.repository, marks, work.still, work.facts.identity, work.reader.size)
        if isinstance(found, Changes):
            blobs = self.repository.blobs()
            reason = copy_changes(found, copier, blobs, work.surveyed, self.state.scratch, meter)
            if reason is None:
                return (f"read only what changed since image {found.last.id[:12]}",)
            self.talk.tell(Warned("changes.false", reason, work.facts.path))
            found = reason
        copier.copy(work.surveyed.windows(), meter)
        return (f"everything was read: {found}",)

    def _keep(self, work: _Work, image: Image) -> None:
        """Remember what the next image of this volume may build on; what nobody wants any more is given back."""
        keeper, volume = self.repository.config.repository_id, work.facts.identity
        marks = Marks(self.state, keeper)
        mark = work.still.mark()
        if mark and self.request.changed_blocks:
            marks.put(volume, Marked(image.id, mark))
            work.still.keep(keeper)
        elif mark and marks.last(volume) is not None:
            work.still.let_go(keeper)
            marks.forget(volume)

    def _commit(self, work: _Work, copier: Copier, settled: Settled) -> Image:
        self._stage("commit", work.facts.path)
        session = copier.session
        counted = Counted(session, session.chunks())
        copier.sheet.pour(counted)
        chunks = counted.tree.finish()
        writer = session.map_writer()
        for window in settled.surveyed.windows():
            writer.add(window)
        blocks = writer.finish()
        session.flush()
        self._unless_cancelled()
        if reason := work.still.untrue():
            raise VolumeChanged(reason, subject=work.facts.path, next_step="nothing was committed; try again")
        return session.commit(
            Image(
                id="",
                number=session.number,
                host=work.host,
                taken=work.taken,
                volume=work.facts,
                mode=(self.imported and self.imported.mode) or work.still.mode,
                consistency=(self.imported and self.imported.consistency) or work.still.consistency,
                sizes=Sizes(
                    volume_size=work.reader.size,
                    used_size=settled.surveyed.used_size,
                    read_size=copier.read_size,
                    stored_size=session.stored_size,
                    image_size=counted.encoded_size,
                    cache_peak=work.still.peak,
                ),
                chunk_size=copier.chunk_size,
                chunks=chunks,
                map=blocks,
                map_block_size=settled.surveyed.block_size,
                seconds=round(time.monotonic() - work.began, 3),
                whole_volume_because=settled.surveyed.whole_volume_because,
                notes=work.notes + told(work.still, settled.surveyed) + settled.surveyed.notes + settled.notes,
                unread=tuple(Unread(offset, length) for offset, length in copier.unread),
                new_chunks=copier.new_chunks,
                # A dynamic image has stored more than it holds where it read a chunk again and found it changed.
                reused_chunks=max(0, counted.chunks - copier.new_chunks),
                preferences=self.request.preferences,
                made_by=self.made_by,
                audit=settled.surveyed.audit,
                managed=work.managed,
            )
        )

    def _survey(self, still: Still, reader: Reader, facts: VolumeFacts) -> Surveyed:
        gap_size, as_raw = self.request.gap_size, self.request.as_raw
        return survey(self.plugins, reader, facts, gap_size, self.state.scratch, still.audit, as_raw=as_raw)

    def _unless_cancelled(self) -> None:
        if self.talk.cancelled():
            raise Cancelled("cancelled")

    def _stage(self, stage: str, subject: str) -> None:
        self.talk.tell(StageStarted(stage, subject))


@attrs.frozen
class _Work:
    """What is held, and what is known of it."""

    facts: VolumeFacts
    host: str
    """Whose volume it is."""
    still: WatchedStill
    reader: Reader
    surveyed: Surveyed
    taken: str
    began: float
    journal: Journal
    managed: Managed | None
    notes: tuple[str, ...]

    def planned(self, mode: Mode) -> BackupResult:
        """What a dry run says: as it would be held in ``mode``, although it was only looked at."""
        held = self.still.mode if mode is Mode.AUTO else mode
        fuzzy = held is Mode.DYNAMIC
        return BackupResult(
            image=None,
            volume=self.facts,
            host=self.host,
            mode=held,
            consistency=Consistency.FUZZY if fuzzy else Consistency.POINT_IN_TIME,
            whole_volume_because=self.surveyed.whole_volume_because,
            sizes=Sizes(self.reader.size, self.surveyed.used_size),
            new_chunks=0,
            reused_chunks=0,
            seconds=round(time.monotonic() - self.began, 3),
            notes=self.notes + self.surveyed.notes,
        )


def _committed_but(left: LeftHeld, image: Image) -> LeftHeld:
    return LeftHeld(
        f"{left.message} (image {image.id[:12]} was committed all the same)",
        subject=left.subject,
        next_step=left.next_step,
    )


def _result(image: Image, work: _Work, resumed_size: int, warnings: Sequence[str]) -> BackupResult:
    lost = sum(unread.length for unread in image.unread)
    return BackupResult(
        image=image.id,
        volume=image.volume,
        host=image.host,
        mode=image.mode,
        consistency=image.consistency,
        whole_volume_because=image.whole_volume_because,
        sizes=image.sizes,
        new_chunks=image.new_chunks,
        reused_chunks=image.reused_chunks,
        seconds=round(time.monotonic() - work.began, 3),
        unread=image.unread,
        notes=image.notes,
        warnings=((f"{lost} bytes could not be read and are zero in the image",) if lost else ()) + tuple(warnings),
        resumed_size=resumed_size,
    )
