"""Volumes of other machines: whose programs are run, what the journal says of it, and how it is undone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import NoProvider, UsageError
from holdstill.held.journal import Held
from holdstill.held.runner import ProcessRunner
from holdstill.plugins.registry import Plugins
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import Hold, Holds, Undone, UndoState
from holdstill.spi.machine import Machine
from holdstill.spi.runner import Runner
from holdstill.spi.volume import Volume

#: where the journal says on which machine something is held
_WHERE: Final = "machine"


def asking() -> Runner:
    """Programs of this host that change nothing and belong to no run. Not in the state folder: a host on which nothing
    of ours is left, or can be written, is restored as well.
    """
    return ProcessRunner("asking", Path(tempfile.gettempdir()), Conversation())


def is_away(path: str) -> bool:
    """Is it a URL, and so of another machine?"""
    return not path.startswith("/") and "://" in path


def volume_at(plugins: Plugins, url: str) -> Volume:
    """The volume behind ``ssh://host/dev/name``. Raises ``UsageError``, ``MachineError``, ``VolumeError`` and their
    kinds.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if not host or not path:
        raise UsageError("it names no volume of a machine", subject=url, next_step="name it like ssh://host/dev/name")
    return volume_on(plugins, plugins.reach(f"{scheme}://{host}", asking()), slash + path)


def volume_on(plugins: Plugins, machine: Machine, path: str) -> Volume:
    """The volume that a machine has at ``path``. Raises ``VolumeError`` and its kinds, ``NoProvider``."""
    volume = plugins.identify(path, machine.runner, machine)
    if volume is None:
        raise NoProvider(
            f"no installed plugin knows the volumes of {machine.system} on another machine",
            subject=machine.url + path,
            next_step="`holdstill providers` shows what is installed",
        )
    return volume


def name_of(volume: Volume) -> str:
    """What finds its device again, wherever it was or was not mounted."""
    return volume.facts.device if volume.machine is None else volume.machine.url + volume.facts.device


def programs(machine: Machine | None, run: str, local: Runner) -> Runner:
    """What starts programs where the volume is."""
    return local if machine is None else machine.runner_for(run, local)


@attrs.frozen
class AwayHolds(Holds):
    """A journal here of what is held there."""

    journal: Holds
    machine: Machine

    def hold(self, kind: str, data: Mapping[str, str], *, by_hand: str, version: int = 1) -> Hold:
        """See ``Holds``."""
        there = f"on {self.machine.url}: {by_hand}"
        return self.journal.hold(kind, {**data, _WHERE: self.machine.url}, by_hand=there, version=version)


def holds(machine: Machine | None, journal: Holds) -> Holds:
    """Where what is held on the volume's machine is written down."""
    return journal if machine is None else AwayHolds(journal, machine)


def is_held_away(held: Held) -> bool:
    """Is it held on another machine?"""
    return _WHERE in held.data


def undo_there(held: Held, plugins: Plugins, local: Runner) -> Undone:
    """Reach its machine again and undo it there. Raises ``MachineError`` and its kinds."""
    machine = plugins.reach(held.data[_WHERE], asking())
    if working := machine.at_work(held.run):
        return Undone(UndoState.BUSY, f"{working} of that run is still at work on {machine.url}")
    data = {name: value for name, value in held.data.items() if name != _WHERE}
    find = partial(volume_on, plugins, machine)
    return plugins.undo(held.kind, held.version, data, machine.runner_for(held.run, local), find, machine)
