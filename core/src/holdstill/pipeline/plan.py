"""The restore plan: everything that can be known before the first write, and nothing written before it stands."""

from __future__ import annotations

import attrs

from holdstill.errors import Damaged, RestoreRefused, VolumeBusy
from holdstill.model.events import Question
from holdstill.model.image import Image
from holdstill.pipeline.hold import in_use_by
from holdstill.pipeline.selves import as_here
from holdstill.plugins.registry import Plugins
from holdstill.repository.blobs import BlobReader
from holdstill.repository.layout import BlobKind
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import Runner
from holdstill.spi.volume import Volume


@attrs.frozen
class Plan:
    """A restore that may begin."""

    image: Image
    target: Volume
    parts: tuple[RestoreTarget, ...]
    notes: tuple[str, ...]

    @property
    def by_hand_first(self) -> str:
        """Why it must not be mounted or checked unasked; empty if nothing stands against it."""
        return "; ".join(filter(None, (part.by_hand_first() for part in self.parts)))


def draw_up(
    plugins: Plugins,
    repository: Repository,
    image: Image,
    target: Volume,
    *,
    unmount: bool,
    own_paths: tuple[str, ...],
    runner: Runner | None = None,
) -> Plan:
    """Check everything, and write nothing. Raises ``RestoreRefused``, ``VolumeBusy`` or ``Damaged``, each saying what
    to do.
    """
    notes = _fits(image, target)
    _is_ours_to_write(plugins, target, unmount=unmount, own_paths=own_paths)
    parts = tuple(plugins.restore(image, target, runner))
    objections = [objection for part in parts for objection in part.objections()]
    if objections:
        raise RestoreRefused("; ".join(objections), subject=target.facts.path)
    ensure_complete(repository.blobs(), image)
    return Plan(image, target, parts, notes)


def _fits(image: Image, target: Volume) -> tuple[str, ...]:
    needed, there = image.sizes.volume_size, target.facts.size
    if there < needed:
        raise RestoreRefused(
            f"too small: the image needs {needed} bytes, it has {there}",
            subject=target.facts.path,
            next_step=f"choose a target with at least {needed} bytes; nothing was written",
        )
    if there > needed:
        return (f"the target is {there - needed} bytes larger than the image; those bytes are left as they are",)
    return ()


def _is_ours_to_write(plugins: Plugins, target: Volume, *, unmount: bool, own_paths: tuple[str, ...]) -> None:
    here = as_here(plugins, target)
    for path in own_paths:
        if here.carries(path):
            raise RestoreRefused(
                f"{path} is on it, and the restore needs that",
                subject=target.facts.path,
                next_step="restore to another volume",
            )
    if target.facts.holders or (target.facts.mounts and not unmount):
        raise VolumeBusy(
            f"in use: {in_use_by(target.facts)}; nothing was written",
            subject=target.facts.path,
            next_step="unmount it first, or restore with --unmount" if target.facts.mounts else "let go of it first",
        )


def ensure_complete(blobs: BlobReader, image: Image) -> None:
    """Is every chunk of the image known to be in a pack? Reads the pages, not the data. Raises ``Damaged``."""
    for _, _, ids in blobs.walk(image.chunks, BlobKind.CHUNK):
        if ids is not None and (missing := blobs.missing(BlobKind.CHUNK, ids)):
            raise Damaged(
                f"the image is not complete: {missing} of its chunks are in no pack; nothing was written",
                subject=f"image {image.id[:12]}",
                next_step="`holdstill verify` says what is damaged, and which images are whole",
            )


def confirm(plan: Plan, now_on_it: str, talk: Conversation) -> None:
    """Ask before what is on the target is gone. Raises ``RestoreRefused`` for a no."""
    facts = plan.target.facts
    answer = talk.ask(
        Question(
            "restore.overwrite",
            f"Overwrite {facts.path} ({facts.size} bytes, now: {now_on_it}) with image {plan.image.id[:12]}?",
            facts={
                "target": facts.path,
                "size": str(facts.size),
                "serial": facts.serial,
                "now": now_on_it,
                "image": plan.image.id,
                "image_volume": plan.image.volume.path,
                "image_taken": plan.image.taken,
            },
        )
    )
    if answer != "yes":
        raise RestoreRefused("not confirmed; nothing was written", subject=facts.path, next_step="answer yes, or --yes")
