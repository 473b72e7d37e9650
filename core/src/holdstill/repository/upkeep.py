"""A prune from question to answer: what the policy drops, what that gives back and costs, and then doing it."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Iterable, Sequence

import attrs

from holdstill.errors import Declined, ImageMissing, ImageProtected
from holdstill.model import sizes
from holdstill.model.events import Question
from holdstill.model.image import Image
from holdstill.model.requests import PruneRequest
from holdstill.model.results import PruneResult
from holdstill.model.retention import Fate
from holdstill.repository import commits, layout
from holdstill.repository.carrying import Carriers
from holdstill.repository.checks import Checks
from holdstill.repository.prune import Prune
from holdstill.repository.repository import Repository
from holdstill.repository.retention import decide, doubts
from holdstill.repository.session import Kept, unkept
from holdstill.spi.conversation import Conversation


def prune(
    repository: Repository,
    request: PruneRequest,
    talk: Conversation,
    now: dt.datetime,
    kept: Kept = unkept,
    elsewhere: Carriers | None = None,
) -> PruneResult:
    """Forget what the policy does not keep, and give back what no image needs. Asks ``prune.go``, cost shown before.
    ``elsewhere``: who repacks, in place of threads here.

    Raises ``ClockDoubtful`` (of each volume the time of some image is in doubt), ``Declined``, ``ImageMissing`` (one
    that was to be kept went meanwhile), ``Cancelled``, ``WorkersLost``, ``Damaged`` (an image cannot be read: nothing
    is deleted), and what the target raises.
    """
    work = Prune(repository, talk.tell, talk.cancelled, request.repack_below, request.fence, kept, elsewhere)
    images = {image.id: image for image in work.standing.images.values()}
    verdicts = _verdicts(repository, request, list(images.values()), now)
    dropped = [images[verdict.image] for verdict in verdicts if not verdict.kept]
    for image in dropped:
        del work.standing.images[image.number]
    choice = work.choose()
    stopped = _stopped(request, images.values(), now)
    plan = attrs.evolve(work.planned(choice), images=tuple(verdicts))
    plan = attrs.evolve(plan, warnings=(*stopped, *plan.warnings))
    if request.dry_run:
        return plan
    if dropped or plan.deleted_packs or plan.repack_read_size:
        _ask(plan, len(dropped), repository, talk)
    if dropped:
        _all_stand(repository, [images[verdict.image] for verdict in verdicts if verdict.kept])
    spared = [image for image in dropped if not _forgotten(repository, image)]
    if spared:
        work.standing.images.update((image.number, image) for image in spared)
        choice = work.choose()
    stay = {image.id for image in spared}
    verdicts = [attrs.evolve(each, kept=True, reason="protected") if each.image in stay else each for each in verdicts]
    result = work.run(choice)
    Checks(repository).tidy(work.standing.listed)
    return attrs.evolve(result, images=tuple(verdicts), warnings=(*stopped, *result.warnings))


def _verdicts(repository: Repository, request: PruneRequest, images: Sequence[Image], now: dt.datetime) -> list[Fate]:
    """Of every image, if there is a policy. A protected one is always kept."""
    if request.retention is None:
        return []
    checks = Checks(repository)
    chosen = _chosen(request, images)
    verdicts = decide(chosen, request.retention, now, good=checks.good(), hurt=checks.hurt())
    by_id = {image.id: image for image in chosen}
    return [
        verdict
        if verdict.kept or not repository.marks.protected(by_id[verdict.image])
        else attrs.evolve(verdict, kept=True, reason="protected")
        for verdict in verdicts
    ]


def _chosen(request: PruneRequest, images: Iterable[Image]) -> list[Image]:
    return [image for image in images if not request.volumes or not request.volumes.isdisjoint(image.volume.names)]


def _stopped(request: PruneRequest, images: Iterable[Image], now: dt.datetime) -> list[str]:
    """Of volumes from which the policy drops nothing, as a time is in doubt."""
    if request.retention is None:
        return []
    found = doubts(_chosen(request, images), now).values()
    return sorted(f"nothing of this volume was dropped: {each}. {each.next_step}" for each in found)


def _all_stand(repository: Repository, images: Sequence[Image]) -> None:
    """An answer may take long: raises ``ImageMissing`` if one of those that the policy relied on went meanwhile."""
    for image in images:
        key = layout.commit_key(image.number, image.id)
        if not isinstance(commits.state(repository.target, repository.digests, key), Image):
            raise ImageMissing(
                "it was to be kept, and was deleted meanwhile; nothing else was deleted",
                subject=f"image {image.id[:12]}",
                next_step="Prune again: the policy keeps others now.",
            )


def _forgotten(repository: Repository, image: Image) -> bool:
    try:
        repository.forget(image)
    except ImageProtected:
        return False
    except ImageMissing:
        return True  # by somebody else, meanwhile
    return True


def _ask(plan: PruneResult, dropped: int, repository: Repository, talk: Conversation) -> None:
    facts = {
        "repository": repository.target.url,
        "images that go": str(dropped),
        "packs that go": f"{plan.deleted_packs}, {sizes.human(plan.deleted_size)}",
        "copied before": sizes.human(plan.repack_read_size),
    }
    if plan.waits_for:
        facts["waits for"] = ", ".join(plan.waits_for)
    text = f"Delete {dropped} images, and give back {sizes.human(plan.deleted_size)}?"
    if talk.ask(Question("prune.go", text, facts=facts)) != "yes":
        raise Declined("not confirmed; nothing was deleted", subject=platform.node())
