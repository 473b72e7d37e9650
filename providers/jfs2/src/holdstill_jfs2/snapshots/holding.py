"""From a volume to its still."""

from __future__ import annotations

import time
from contextlib import ExitStack

from holdstill.errors import NoProvider, VolumeUnusable
from holdstill.spi.given_back import GivenBack
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_jfs2.commands import Aix, FileSystem, Kept
from holdstill_jfs2.ground import Ground, ground
from holdstill_jfs2.moved import extentinfo
from holdstill_jfs2.moved.reader import MovedReader
from holdstill_jfs2.settings import Settings
from holdstill_jfs2.snapshots import making, space
from holdstill_jfs2.snapshots.health import Health
from holdstill_jfs2.snapshots.ours import KIND, VERSION, Ours, Written, undo
from holdstill_jfs2.snapshots.still import SnapshotStill
from holdstill_jfs2.superblock import Superblock

#: how many snapshots of each kind a file system may have (AIX commands reference, snapshot)
_EXTERNAL, _INTERNAL = 15, 64


def hold(volume: Volume, request: HoldRequest) -> Still:
    """The still of a JFS2. Raises ``NoProvider`` for anything else, and for what no snapshot can or may be made of."""
    found = ground(volume)
    settings = Settings.of(request)
    if not settings.unproven:
        raise NoProvider(
            "how the kernel of AIX tells what has moved into a snapshot is known from its headers alone, and no real"
            " host has proven it",
            subject=volume.facts.path,
            next_step="allow it with --provider-settings jfs2.extents=fscntl, or choose another mode (freeze, static)",
        )
    if volume.machine is not None:
        raise NoProvider(
            "the kernel of another machine cannot be asked what has moved into a snapshot",
            subject=volume.facts.path,
            next_step="run holdstill there, or choose another mode (freeze, static)",
        )
    aix = Aix(request.runner)
    filesystem = aix.filesystem(found.place)
    if filesystem.device != found.device:
        raise NoProvider(f"{found.place} is known as the place of {filesystem.device}", subject=volume.facts.path)
    _refuse_others(aix.snapshots(found.place), found.place, internal=settings.internal)
    if settings.internal and not filesystem.internal:
        raise NoProvider("it was not made for internal snapshots (isnapshot=yes)", subject=found.place)
    origin = aix.volume(found.volume)
    group = aix.group(origin.group)
    partitions = 0 if settings.internal else space.planned(origin.size, group, request.cache_size, found.place)
    ours = Ours.of(found.place, origin, group.ident, request.run, internal=settings.internal)
    line = request.holds.hold(KIND, ours.line(), by_hand=ours.by_hand, version=VERSION)
    written, patient = Written(ours, line), Aix(request.runner, patient=True)
    back = GivenBack(line, lambda: undo(patient, written.ours), time.sleep, subject=ours.place, by_hand=ours.by_hand)
    try:
        made = making.internal(aix, written) if settings.internal else making.external(aix, written, partitions)
        health = Health(aix, written.ours, made)
        return _still(volume, request, health, back, found, filesystem)
    except BaseException:
        back()
        raise


def _still(
    volume: Volume, request: HoldRequest, health: Health, back: GivenBack, found: Ground, filesystem: FileSystem
) -> Still:
    made = health.made
    with ExitStack() as on_failure:
        origin = on_failure.enter_context(volume.open_reader(exclusive=False))
        store = origin
        if not made.internal:
            store = request.find(f"/dev/{made.name}").open_reader(exclusive=False)
            on_failure.enter_context(store)
        moves = extentinfo.ask_of(found.place, made, filesystem.block, origin.size, store)
        superblock = Superblock.read(MovedReader(origin, store, moves))
        if superblock.block != filesystem.block:
            raise VolumeUnusable(
                f"its blocks have {superblock.block} bytes, and lsfs says {filesystem.block}", subject=volume.facts.path
            )
        reader = MovedReader(origin, store, moves, superblock.log)
        still = SnapshotStill(reader, health, back, log_inside=bool(superblock.log))
        on_failure.pop_all()
        return still


def _refuse_others(kept: list[Kept], place: str, *, internal: bool) -> None:
    """To delete ours would delete every older one: so there must be none."""
    if not kept:
        return
    reasons = ["to delete ours afterwards would delete them too"]
    if kept[0].internal is not internal:
        reasons.append("internal and external ones exclude each other")
    if len(kept) >= (_INTERNAL if kept[0].internal else _EXTERNAL):
        reasons.append("it has as many as it may have")
    if lost := [each.name for each in kept if not each.valid]:
        reasons.append(f"{', '.join(lost)} ran full, which spoils all of them")
    raise NoProvider(
        f"it has snapshots already ({', '.join(each.name for each in kept)}): {'; '.join(reasons)}",
        subject=place,
        next_step="if nobody needs them, delete them (snapshot -d); or choose another mode",
    )
