"""The plugins of this process, as typed methods: what the rest of the engine sees of plugins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from types import UnionType
from typing import Any

import attrs

from holdstill.errors import HoldstillError, NoProvider, PluginError, UsageError
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.choices import ANY_PROVIDER
from holdstill.model.extents import Extents
from holdstill.model.fsck import FilesystemCheck, FilesystemState
from holdstill.model.image import Image
from holdstill.model.volume import FilesystemFacts, Mode, VolumeFacts
from holdstill.model.windows import normalise
from holdstill.plugins import loading
from holdstill.plugins.catalogue import claims
from holdstill.plugins.loading import Candidate, Origin
from holdstill.plugins.selection import (
    Plugin,
    able,
    ambiguous,
    fuller,
    here,
    nobody,
    remedy,
    serving,
    the_answer,
    the_one,
    unsettable,
)
from holdstill.plugins.shelf import Shelf, expect, fault
from holdstill.spi.activation import Activation
from holdstill.spi.checks import HostCheck
from holdstill.spi.compatibility import Compatibility
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.machine import Machine
from holdstill.spi.manager import Manager
from holdstill.spi.newvolume import NewVolume
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import NoRunner, Runner
from holdstill.spi.still import Freeze, HoldRequest, Still, nowhere
from holdstill.spi.target import Target, TargetProperties
from holdstill.spi.volume import Volume
from holdstill.spi.workforce import Workforce


@attrs.frozen
class PluginRow:
    """One line of ``holdstill providers``: a plugin that works, or one that does not, and why."""

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    info: ProviderInfo | None = None
    broken: str | None = None


class Plugins:
    """All plugins, loaded once, when first needed.

    An action goes to one chosen plugin. What comes back is checked to be of the type that the hook states; anything
    else, and any exception that is no ``HoldstillError``, is a ``PluginError`` naming the plugin and its distribution.
    """

    def __init__(self, found: Iterable[Candidate] | None = None) -> None:
        """``found`` None: what is installed. Made by ``installed`` and ``of``."""
        self._found = found

    @classmethod
    def installed(cls) -> Plugins:
        """What is installed in this environment (see ``loading``)."""
        return cls()

    @classmethod
    def of(cls, *modules: object) -> Plugins:
        """These modules (or objects) and no others. Raises ``PluginError`` if one of them is broken."""
        plugins = cls([Candidate(Origin("", "this process", ""), module) for module in modules])
        for wreck in plugins._shelf.broken:
            raise PluginError(wreck.reason, subject=str(wreck.origin))
        return plugins

    def rows(self) -> list[PluginRow]:
        """Every plugin, working or broken, by name."""
        working = [
            PluginRow(p.origin.name, p.origin.distribution, p.origin.version, tuple(sorted(p.hooks)), p.info)
            for p in self._shelf.plugins
        ]
        broken = [
            PluginRow(b.origin.name, b.origin.distribution, b.origin.version, broken=b.reason)
            for b in self._shelf.broken
        ]
        return sorted(working + broken, key=lambda row: (row.name, row.distribution))

    # --- volumes --------------------------------------------------------------------------------

    def reach(self, url: str, runner: Runner) -> Machine:
        """The machine behind a URL without a path. Raises ``NoProvider``, ``MachineError`` and its kinds."""
        scheme = url.partition("://")[0].lower()
        ways = able(self._shelf.plugins, "reach", "schemes", scheme)
        machine = (
            self._ask(the_one(ways, f"{scheme}://"), "reach", Machine | None, url=url, runner=runner) if ways else None
        )
        if machine is None:
            help_ = remedy(self._shelf.broken, "schemes", scheme)
            raise nobody("no installed plugin reaches such machines", f"{scheme}://", help_)
        reached: Machine = machine
        return reached

    def identify(self, path: str, runner: Runner | None = None, machine: Machine | None = None) -> Volume | None:
        """The volume behind ``path``, here or on a machine, from the platform whose it is. None: nobody's, so a plain
        file or nothing.

        Raises ``AmbiguousProvider``, and what the hook may raise.
        """
        claimants = []
        asked = {"path": path, "runner": runner or NoRunner(), "machine": machine}
        for plugin in serving(self._shelf.plugins, "identify", machine):
            volume = self._ask(plugin, "identify", Volume | None, **asked)
            if volume is not None:
                expect(plugin, "identify", VolumeFacts, getattr(volume, "facts", None))
                claimants.append((plugin, volume))
        if len(claimants) > 1:
            raise ambiguous([plugin for plugin, _ in claimants], path)
        return claimants[0][1] if claimants else None

    def list_volumes(self, runner: Runner | None = None) -> list[VolumeFacts]:
        """Every volume of this host that could be imaged. Raises ``NoProvider``."""
        platforms = here(self._shelf.plugins, "list_volumes")
        if not platforms:
            help_ = remedy(self._shelf.broken, "platforms", sys.platform)
            raise nobody("no installed plugin knows the volumes of this system", sys.platform, help_)
        volumes = []
        for plugin in platforms:
            for facts in self._ask(plugin, "list_volumes", list, runner=runner or NoRunner()):
                expect(plugin, "list_volumes", VolumeFacts, facts)
                volumes.append(facts)
        return volumes

    def check_host(self, runner: Runner, machine: Machine | None = None) -> list[tuple[str, HostCheck]]:
        """What each plugin takes for so, asked of this host or of a machine: with the plugin's name."""
        found: list[tuple[str, HostCheck]] = []
        for plugin in serving(self._shelf.plugins, "check_host", machine):
            checks = self._ask(plugin, "check_host", list, runner=runner, machine=machine)
            found += [(plugin.info.name, expect(plugin, "check_host", HostCheck, check)) for check in checks]
        return found

    # --- used blocks ----------------------------------------------------------------------------

    def recognise(self, reader: Reader) -> FilesystemFacts | None:
        """What is in the volume, or None. One plugin may know more of it than another; raises ``AmbiguousProvider`` if
        two say different things.
        """
        answers: list[tuple[Plugin, FilesystemFacts]] = []
        for plugin in self._shelf.plugins:
            if "recognise" in plugin.hooks:
                facts = self._ask(plugin, "recognise", FilesystemFacts | None, reader=reader)
                if facts is not None:
                    answers.append((plugin, facts))
        fullest = fuller([facts for _, facts in answers])
        return fullest or the_answer(answers, "to know what is in this volume")

    def unrecognised(self) -> str:
        """Why nobody recognises what is in a volume: a sentence without its end."""
        if any("recognise" in plugin.hooks for plugin in self._shelf.plugins):
            return "it holds no file system that an installed plugin recognises"
        help_ = remedy(self._shelf.broken, "filesystems", "ext4")
        return f"no installed plugin recognises file systems; {help_}"

    def enumerate_used_blocks(self, reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume:
        """The claim of the plugin that reads ``facts.name``, or ``WholeVolume`` with what to install.

        The windows are checked as they pass (``normalise``): a ``PluginError`` out of them names who broke the
        contract.
        """
        readers = able(self._shelf.plugins, "enumerate_used_blocks", "filesystems", facts.name)
        if not readers:
            help_ = remedy(self._shelf.broken, "filesystems", facts.name)
            said = f"no installed plugin reads the used blocks of {facts.name}"
            return WholeVolume(f"{said}; {help_}" if help_ else said)
        plugin = the_one(readers, f"to read the used blocks of {facts.name}")
        claim: BlockMap | WholeVolume = self._ask(
            plugin, "enumerate_used_blocks", BlockMap | WholeVolume, reader=reader, facts=facts
        )
        if isinstance(claim, WholeVolume):
            return claim
        if claim.block_size <= 0:
            raise fault(plugin.origin, f"the block map has blocks of {claim.block_size} bytes")
        return attrs.evolve(claim, windows=_watched(plugin, claim, reader.size))

    # --- volume managers ------------------------------------------------------------------------

    def activate(self, path: str, request: HoldRequest) -> Activation | None:
        """Have the volume behind ``path`` appear, by the first that can; None: nobody can. Raises what the hook may."""
        for plugin in here(self._shelf.plugins, "activate"):
            found: Activation | None = self._ask(plugin, "activate", Activation | None, path=path, request=request)
            if found is not None:
                return found
        return None

    def manage(self, volume: Volume, runner: Runner) -> Manager | None:
        """Who speaks for the volume's manager, or None. Raises ``AmbiguousProvider`` if two do."""
        speakers = []
        for plugin in serving(self._shelf.plugins, "manage", volume.machine):
            manager: Manager | None = self._ask(plugin, "manage", Manager | None, volume=volume, runner=runner)
            if manager is not None:
                speakers.append((plugin, manager))
        if len(speakers) > 1:
            raise ambiguous([plugin for plugin, _ in speakers], f"to manage {volume.facts.path}")
        return speakers[0][1] if speakers else None

    def create_volume(self, name: str, size: int, request: HoldRequest) -> NewVolume:
        """A new volume, from the first that knows such names. Raises ``NoProvider``, and what the hook may raise."""
        for plugin in here(self._shelf.plugins, "create_volume"):
            arguments = {"name": name, "size": size, "request": request}
            made: NewVolume | None = self._ask(plugin, "create_volume", NewVolume | None, **arguments)
            if made is not None:
                return made
        raise nobody(
            "no installed plugin makes volumes of this name", name, remedy(self._shelf.broken, "modes", "snapshot")
        )

    def compatibility(self) -> Compatibility:
        """The rules on clients and volume managers. Raises ``NoProvider``, ``AmbiguousProvider``."""
        rulers = [plugin for plugin in self._shelf.plugins if "compatibility" in plugin.hooks]
        if not rulers:
            help_ = remedy(self._shelf.broken, "modes", "snapshot")
            raise nobody("no installed plugin knows which client may image what", "compatibility", help_)
        rules: Compatibility = self._ask(the_one(rulers, "to know the rules"), "compatibility", Compatibility)
        return rules

    # --- stills ---------------------------------------------------------------------------------

    def snapshot(self, volume: Volume, request: HoldRequest) -> Still:
        """A still of the volume, held by ``request.mode``, from the provider that can make one of *this* volume.

        Each that offers the mode here is asked, or only the one that the request names; one that raises ``NoProvider``
        has acquired nothing and leaves it to the next. Raises ``NoProvider`` with what they said, or with what to
        install.
        """
        still: Still = self._held("snapshot", Still, volume, request)
        return still

    def offers(self, mode: Mode, name: str = ANY_PROVIDER) -> bool:
        """Is there anybody here, or somebody of this name, who holds volumes like this?"""
        return bool(self._offering("snapshot", mode, name))

    def freeze(self, volume: Volume, request: HoldRequest) -> Freeze:
        """The volume's writers, made to wait, by the provider that can freeze *this* volume: as ``snapshot``."""
        frozen: Freeze = self._held("freeze", Freeze, volume, attrs.evolve(request, mode=Mode.FREEZE))
        return frozen

    def _held(self, hook: str, expected: type, volume: Volume, request: HoldRequest) -> Any:  # noqa: ANN401  # see expect
        refusals = []
        for plugin in self._offering(hook, request.mode, request.provider, volume.machine):
            try:
                return self._ask(plugin, hook, expected, volume=volume, request=request)
            except NoProvider as refusal:
                refusals.append(refusal)
        raise refusals[0] if refusals else self._cannot_hold(request.mode, volume, request.provider)

    def _offering(
        self, hook: str, mode: Mode, name: str = ANY_PROVIDER, machine: Machine | None = None
    ) -> list[Plugin]:
        there = serving(self._shelf.plugins, hook, machine)
        offering = [plugin for plugin in there if claims(plugin.info, "modes", mode.value)]
        return [plugin for plugin in offering if name in (ANY_PROVIDER, plugin.info.name)]

    def _cannot_hold(self, mode: Mode, volume: Volume, name: str = ANY_PROVIDER) -> NoProvider:
        help_ = remedy(self._shelf.broken, "modes", mode.value)
        called = "" if name == ANY_PROVIDER else f" called {name}"
        return nobody(f"no installed provider{called} holds a volume by {mode.value}", volume.facts.path, help_)

    def unsettable(self, settings: Iterable[str]) -> list[UsageError]:
        """What is wrong with these names in ``provider-settings``: nobody has them who is installed."""
        errors = (unsettable(self._shelf.plugins, self._shelf.broken, name) for name in settings)
        return [error for error in errors if error is not None]

    # --- storage and restore --------------------------------------------------------------------

    def storage_target(self, url: str) -> Target:
        """Open the target behind ``url``; a bare path is a local directory. Raises ``NoProvider``."""
        scheme = url.partition("://")[0].lower() if "://" in url else "file"
        adapters = able(self._shelf.plugins, "storage_target", "schemes", scheme)
        if not adapters:
            help_ = remedy(self._shelf.broken, "schemes", scheme)
            raise nobody("no installed plugin opens such targets", f"{scheme}://", help_)
        plugin = the_one(adapters, f"{scheme}:// targets")
        target: Target = self._ask(plugin, "storage_target", Target, url=url)
        expect(plugin, "storage_target", TargetProperties, getattr(target, "properties", None))
        return target

    def workforce(self, url: str) -> Workforce:
        """The workers behind ``url``. Raises ``NoProvider``, and what the hook may raise."""
        scheme = url.partition("://")[0].lower()
        ways = able(self._shelf.plugins, "workforce", "schemes", scheme)
        if not ways:
            help_ = remedy(self._shelf.broken, "schemes", scheme)
            raise nobody("no installed plugin reaches such workers", f"{scheme}://", help_)
        workers: Workforce = self._ask(the_one(ways, f"{scheme}:// workers"), "workforce", Workforce, url=url)
        return workers

    def restore(self, image: Image, target: Volume, runner: Runner | None = None) -> list[RestoreTarget]:
        """Everybody who has something to say about this restore, by the plugin's name."""
        runner = runner or NoRunner()
        parts = []
        for plugin in serving(self._shelf.plugins, "restore", target.machine):
            part = self._ask(plugin, "restore", RestoreTarget | None, image=image, target=target, runner=runner)
            if part is not None:
                parts.append(part)
        return parts

    def check_filesystem(self, volume: Volume, filesystem: str, runner: Runner) -> FilesystemCheck:
        """What the checker of whoever knows this file system says. Nobody: ``UNCHECKED``."""
        for plugin in serving(self._shelf.plugins, "check_filesystem", volume.machine):
            arguments = {"volume": volume, "filesystem": filesystem, "runner": runner}
            said: FilesystemCheck | None = self._ask(plugin, "check_filesystem", FilesystemCheck | None, **arguments)
            if said is not None:
                return said
        return FilesystemCheck(FilesystemState.UNCHECKED, f"no installed plugin checks {filesystem} there")

    def undo(
        self,
        kind: str,
        version: int,
        data: dict[str, str],
        runner: Runner | None = None,
        find: Callable[[str], Volume] = nowhere,
        machine: Machine | None = None,
    ) -> Undone:
        """Have what a dead run left held, here or on a machine, undone by whoever knows ``kind``. Nobody: ``UNKNOWN``,
        and it stays held.
        """
        runner = runner or NoRunner()
        for plugin in serving(self._shelf.plugins, "undo", machine):
            arguments = {"kind": kind, "version": version, "data": data, "runner": runner, "find": find}
            undone: Undone | None = self._ask(plugin, "undo", Undone | None, **arguments)
            if undone is not None:
                return undone
        return Undone(UndoState.UNKNOWN, f"no installed plugin knows how to undo {kind}")

    @cached_property
    def _shelf(self) -> Shelf:
        if self._found is None:
            return Shelf(*loading.installed())
        return Shelf(self._found, [])

    def _ask(self, plugin: Plugin, hook: str, expected: type | UnionType, **arguments: object) -> Any:  # noqa: ANN401  # see expect
        return expect(plugin, hook, expected, self._shelf.call(plugin, hook, arguments))


def _watched(plugin: Plugin, claim: BlockMap, size: int) -> Iterator[Extents]:
    try:
        yield from normalise(claim.windows, size, overhang=claim.block_size - 1)
    except HoldstillError:
        raise
    except Exception as error:
        raise fault(plugin.origin, f"the block map is broken: {error}") from error
