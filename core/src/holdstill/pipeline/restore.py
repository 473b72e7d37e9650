"""The way back: image record, plan, packs, volume, proof."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from holdstill.errors import LeftHeld, UsageError
from holdstill.held.journal import Journal
from holdstill.held.runner import ProcessRunner
from holdstill.held.state import StateFolder
from holdstill.model.events import StageStarted, Warned
from holdstill.model.extents import Extents, union_of
from holdstill.model.fsck import FilesystemCheck, FilesystemState
from holdstill.model.image import Image
from holdstill.model.requests import RestoreRequest
from holdstill.model.results import RestoreResult
from holdstill.model.volume import Consistency
from holdstill.pipeline import away, plainfile
from holdstill.pipeline.deaf import Deaf
from holdstill.pipeline.finding import find
from holdstill.pipeline.plan import Plan, confirm, draw_up
from holdstill.pipeline.proving import Prover
from holdstill.pipeline.resuming import DifferenceWriter
from holdstill.pipeline.unmounting import Unmounted, unmount
from holdstill.pipeline.writing import ImageWriter
from holdstill.plugins.registry import Plugins
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter
from holdstill.spi.newvolume import NewVolume
from holdstill.spi.still import HoldRequest
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer


@attrs.frozen
class Restore:
    """One restore of one image."""

    plugins: Plugins
    repository: Repository
    state: StateFolder
    request: RestoreRequest
    talk: Conversation
    workers: int

    def run(self) -> RestoreResult:
        """Plan, ask, write, prove. Nothing is written before the plan stands and the question is answered."""
        began = time.monotonic()
        image = self.repository.find(self.request.image, self.request.of_volume)
        path, is_new = self._where()
        self._stage("plan", path)
        with ExitStack() as journals, ExitStack() as undo:
            made: NewVolume | None = None
            if self.request.to_new_volume is not None:
                made = self._new_volume(path, image, journals.enter_context(Journal.begin(self.state.journals)))
                undo.callback(made.remove)
                path = made.path
            elif is_new:
                plainfile.create_file(path, image.sizes.volume_size)
                undo.callback(os.unlink, path)
            target = find(self.plugins, path)
            plan = self._plan(image, target)
            if not is_new:
                confirm(plan, self._now_on(target), self.talk)
            gone = Unmounted(())
            if self.request.unmount and target.facts.mounts:
                gone = self._unmounted(target, journals)
                undo.callback(self._put_back, gone)
                target = find(self.plugins, away.name_of(target))  # its path may have been where it was mounted
            with target.open_writer() as writer:
                gone.begin()
                undo.pop_all()  # from here on what is half written is kept, its head blank
                if made is not None:
                    made.keep()
                with self._unless_broken(gone):
                    result = self._write_and_prove(plan, writer, path, began)
            return self._cared_for(result, plan, target, gone)

    def _where(self) -> tuple[str, bool]:
        """The target's path, or the name of a volume to be made, and whether it is to be made."""
        request = self.request
        named = [each for each in (request.to_volume, request.to_file, request.to_new_volume) if each is not None]
        if len(named) != 1:
            raise UsageError("give either a volume, or a file, or a new volume to restore to")
        if request.resume and request.to_new_volume is not None:
            raise UsageError("a new volume holds nothing yet", next_step="to resume, name the volume that was made")
        is_file_to_be = request.to_file is not None and not Path(request.to_file).exists()
        return named[0], is_file_to_be or request.to_new_volume is not None

    def _new_volume(self, name: str, image: Image, journal: Journal) -> NewVolume:
        """Made by nobody who listens to a cancel: what is half made would have to be found again."""
        runner = ProcessRunner(journal.run, self.state.scratch, Deaf(self.talk))
        asked = HoldRequest(run=journal.run, holds=journal, runner=runner)
        return self.plugins.create_volume(name, image.sizes.volume_size, asked)

    def _plan(self, image: Image, target: Volume) -> Plan:
        own = [str(self.state.path)]
        if (local := self.repository.target.local_path) is not None:
            own.append(local)
        here = ProcessRunner("restore", Path(tempfile.gettempdir()), self.talk)  # see ``away.asking``
        return draw_up(
            self.plugins,
            self.repository,
            image,
            target,
            unmount=self.request.unmount,
            own_paths=tuple(own),
            runner=away.programs(target.machine, "restore", here),
        )

    def _now_on(self, target: Volume) -> str:
        """What the target holds, in words, for the question."""
        with target.open_reader(exclusive=False) as reader:
            found = self.plugins.recognise(reader)
        if found is None:
            return "nothing that is recognised"
        return " ".join(filter(None, (found.name, found.label and f'"{found.label}"', found.uuid)))

    def _unmounted(self, target: Volume, journals: ExitStack) -> Unmounted:
        """Nobody who gives it back listens to a cancel."""
        journal = journals.enter_context(Journal.begin(self.state.journals))
        local = ProcessRunner(journal.run, self.state.scratch, Deaf(self.talk))
        return unmount(self.plugins, target, journal, local)

    def _put_back(self, gone: Unmounted) -> None:
        gone.put_back()
        if gone.because:
            self._tell_unmounted(gone, gone.because)

    def _tell_unmounted(self, gone: Unmounted, why: str) -> None:
        self.talk.tell(Warned("restore.unmounted", f"{', '.join(gone.places)} is left unmounted: {why}"))

    @contextmanager
    def _unless_broken(self, gone: Unmounted) -> Iterator[None]:
        """Half a restore is mounted by nobody, not by ``recover`` either."""
        try:
            yield
        except BaseException:
            gone.forget()
            if gone.places:
                self._tell_unmounted(gone, "the restore did not end")
            raise

    def _cared_for(self, result: RestoreResult, plan: Plan, target: Volume, gone: Unmounted) -> RestoreResult:
        """Its file system checked and mounted again, where that was asked for, and may be."""
        image = plan.image
        with self._unless_broken(gone):
            check = self._checked(plan, target) if self.request.fsck else None
        result, why_not = attrs.evolve(result, fsck=check), plan.by_hand_first or gone.because
        if check is not None and not check.sound:
            why_not = f"its file system is {check.state.value}"
            self.talk.tell(Warned("restore.fsck", check.said, result.target))
            result = attrs.evolve(result, warnings=(*result.warnings, f"{why_not}: {check.said}"))
        elif check is None and image.consistency is Consistency.FUZZY:
            why_not = "the image is fuzzy and was not checked"
        if not gone.places:
            return result
        if why_not:
            gone.forget()
            return attrs.evolve(result, notes=(*result.notes, f"it is not mounted again: {why_not}"))
        try:
            gone.put_back()
        except LeftHeld as left:
            said = f"the image was put back; but it cannot be mounted again: {left.message}"
            raise LeftHeld(said, subject=left.subject, next_step=left.next_step) from left
        return attrs.evolve(result, mounted=gone.places)

    def _checked(self, plan: Plan, target: Volume) -> FilesystemCheck:
        image = plan.image
        if plan.by_hand_first:
            return FilesystemCheck(FilesystemState.UNCHECKED, plan.by_hand_first)
        if image.volume.filesystem is None:
            return FilesystemCheck(FilesystemState.UNCHECKED, "the image holds no file system that is known")
        self._stage("fsck", target.facts.path)
        here = ProcessRunner("restore", Path(tempfile.gettempdir()), self.talk)
        runner = away.programs(target.machine, "restore", here)
        return self.plugins.check_filesystem(target, image.volume.filesystem.name, runner)

    def _write_and_prove(self, plan: Plan, writer: Writer, path: str, began: float) -> RestoreResult:
        image = plan.image
        preserved = union_of(part.preserved_ranges() for part in plan.parts)
        out, kept_size = self._write(image, writer, preserved, path)
        if self.request.proof:
            self._prove(image, writer, preserved, path)
        notes = plan.notes + self._to_be_mended(image) + tuple(note for part in plan.parts for note in part.finish())
        return RestoreResult(
            image=image.id,
            target=path,
            volume_size=image.sizes.volume_size,
            written_size=out.written_size,
            kept_size=kept_size,
            proved=bool(self.request.proof),
            seconds=round(time.monotonic() - began, 3),
            notes=notes,
            warnings=self._warnings(image, path),
        )

    def _write(self, image: Image, writer: Writer, preserved: Extents, path: str) -> tuple[ImageWriter, int]:
        """What was written, and how many bytes were there already."""
        size, blobs = image.sizes.volume_size, self.repository.blobs()
        if not self.request.resume:
            out = ImageWriter(image, blobs, writer, self.talk, self.workers, preserved)
            out.write(Meter(self.talk.tell, "write", path, size))
            return out, 0
        writer.flush()
        with writer.reader() as there:
            some = DifferenceWriter(
                image, blobs, writer, self.talk, self.workers, preserved, ids=self.repository.ids, there=there
            )
            some.write(Meter(self.talk.tell, "write", path, size))
            return some, size - some.differing_size

    def _prove(self, image: Image, writer: Writer, preserved: Extents, path: str) -> None:
        with writer.reader() as reader:
            prover = Prover(
                image, self.repository.ids, self.repository.blobs(), reader, self.talk, self.workers, preserved
            )
            prover.prove(Meter(self.talk.tell, "prove", path, image.sizes.volume_size))

    def _warnings(self, image: Image, path: str) -> tuple[str, ...]:
        if not image.unread:
            return ()
        lost = sum(unread.length for unread in image.unread)
        warning = f"{lost} bytes could not be read when the image was taken, and are zero"
        self.talk.tell(Warned("image.unread", warning, path))
        return (warning,)

    def _to_be_mended(self, image: Image) -> tuple[str, ...]:
        if image.consistency is Consistency.FUZZY and not self.request.fsck:
            return (
                "the image is fuzzy: check and mend its file system (fsck, or restore --fsck) before it is mounted",
            )
        return ()

    def _stage(self, stage: str, subject: str) -> None:
        self.talk.tell(StageStarted(stage, subject))
