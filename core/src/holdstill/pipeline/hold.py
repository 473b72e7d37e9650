"""Volume to still: which way it is held while it is read.

The rules of ``auto``, in this order: a snapshot, where an installed provider makes one of this volume; offline, where
nobody uses it; else what the request says for this case, which is to fail unless somebody chose otherwise. Where the
request wants no provider, ``auto`` means static. What is in use is never unmounted, frozen or read as it is unasked.
"""

from __future__ import annotations

from functools import partial

import attrs

from holdstill.errors import NoProvider, UsageError, VolumeBusy, VolumeUnusable
from holdstill.held.state import StateFolder
from holdstill.model.choices import ANY_PROVIDER, NEVER_DYNAMIC, NO_PROVIDER, OnNoSnapshot, provider_settings
from holdstill.model.events import Noted
from holdstill.model.orders import BackupOrder
from holdstill.model.volume import Mode, VolumeFacts
from holdstill.pipeline import away
from holdstill.pipeline.finding import find, given_snapshot
from holdstill.pipeline.ground import refuse_own
from holdstill.pipeline.stills import DynamicStill, FreezeStill, GivenStill, OfflineStill
from holdstill.plugins.registry import Plugins
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import Holds
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume


@attrs.frozen
class Holder:
    """Holds one volume for one run."""

    plugins: Plugins
    repository: Repository
    state: StateFolder
    request: BackupOrder
    talk: Conversation
    run: str
    holds: Holds
    runner: Runner

    def hold(self, volume: Volume) -> Still:
        """Make the still. Raises ``VolumeBusy``, ``OwnGround``, ``VolumeUnusable``, or ``NoProvider`` for a way of
        holding that nothing installed offers.
        """
        if self.request.snapshot_root:
            return GivenStill(given_snapshot(self.plugins, self.request.snapshot_root, volume.facts))
        if self.request.mode is Mode.AUTO:
            return self._by_rule(volume)
        return self._by(self.request.mode, volume)

    def look_only(self, volume: Volume) -> Still:
        """For a dry run: nobody is disturbed, whatever the mode."""
        if self.request.snapshot_root:
            return DynamicStill(given_snapshot(self.plugins, self.request.snapshot_root, volume.facts))
        if self.request.mode in (Mode.AUTO, Mode.OFFLINE) and not volume.facts.in_use:
            return OfflineStill(volume)
        if self.request.mode is Mode.OFFLINE:
            raise _busy(volume.facts, "unmount it, or choose another mode")
        return DynamicStill(volume)

    def _by_rule(self, volume: Volume) -> Still:
        if self.request.snapshot_provider == NO_PROVIDER:
            return self._by(Mode.STATIC, volume)
        try:
            return self._by(Mode.SNAPSHOT, volume)
        except NoProvider as refusal:
            if not volume.facts.in_use:
                return OfflineStill(volume)
            because = self._none_of_it(refusal)
        instead = self.request.on_no_snapshot
        if instead is OnNoSnapshot.FAIL:
            raise _busy(
                volume.facts,
                "unmount it, or say how it may be held: read-only (--mode static), its writers made to wait"
                " (--mode freeze), or as it is (--mode dynamic), which is marked fuzzy",
                because,
            )
        self.talk.tell(Noted(f"held by {instead.value}, as was chosen: {because}", volume.facts.path))
        return self._by(Mode(instead.value), volume)

    def _by(self, mode: Mode, volume: Volume) -> Still:
        if mode is Mode.DYNAMIC:
            _refuse_dynamic(volume.facts)
            return DynamicStill(volume)
        if mode is Mode.OFFLINE or (mode is Mode.STATIC and not volume.facts.in_use):
            return OfflineStill(volume)
        if mode is Mode.SNAPSHOT:
            if self.request.snapshot_provider == NO_PROVIDER:
                raise UsageError(
                    "mode snapshot, and no provider for it",
                    subject=volume.facts.path,
                    next_step="choose another mode, or another --snapshot-provider",
                )
            asked = attrs.evolve(self._asked(mode, volume), provider=self.request.snapshot_provider)
            return self.plugins.snapshot(volume, asked)
        refuse_own(self.plugins, volume, self.state, self.repository)
        if mode is Mode.STATIC:
            return self.plugins.snapshot(volume, self._asked(mode, volume))
        if not volume.facts.mounts:
            raise VolumeUnusable(
                "it is not mounted, so nothing can be frozen", subject=volume.facts.path, next_step="use --mode offline"
            )
        return FreezeStill(volume, self.plugins.freeze(volume, self._asked(mode, volume)))

    def _none_of_it(self, refusal: NoProvider) -> str:
        """Why there is no snapshot: nobody who makes any is installed, or who is, does not make one of this volume."""
        named = self.request.snapshot_provider
        if named == ANY_PROVIDER:
            return f"nothing installed can make a snapshot of it ({refusal.message})"
        if self.plugins.offers(Mode.SNAPSHOT, named):
            return f"{named} cannot make a snapshot of it ({refusal.message})"
        return f"nothing called {named} is installed that makes snapshots"

    def _asked(self, mode: Mode, volume: Volume) -> HoldRequest:
        there = volume.machine
        return HoldRequest(
            run=self.run,
            holds=away.holds(there, self.holds),
            cache_size=self.request.cache_size,
            limit=self.request.freeze_limit,
            mode=mode,
            static_method=self.request.static_method,
            settings=provider_settings(self.request.provider_settings),
            runner=away.programs(there, self.run, self.runner),
            find=partial(find, self.plugins) if there is None else partial(away.volume_on, self.plugins, there),
        )


def _refuse_dynamic(facts: VolumeFacts) -> None:
    kinds = {mount.filesystem for mount in facts.mounts} | {facts.filesystem.name if facts.filesystem else ""}
    if never := sorted(kinds.intersection(NEVER_DYNAMIC)):
        raise VolumeUnusable(
            f"{never[0]} is never imaged while it changes",
            subject=facts.path,
            next_step="choose another mode: a snapshot, or static",
        )


def _busy(facts: VolumeFacts, next_step: str, more: str = "") -> VolumeBusy:
    said = f"in use: {in_use_by(facts)}" + (f"; {more}" if more else "")
    return VolumeBusy(said, subject=facts.path, next_step=next_step)


def in_use_by(facts: VolumeFacts) -> str:
    """Who uses the volume, in words."""
    mounts = [f"mounted on {mount.path}" for mount in facts.mounts]
    return ", ".join(mounts + [f"held by {holder}" for holder in facts.holders])
