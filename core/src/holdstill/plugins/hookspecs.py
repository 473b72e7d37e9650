"""Every hook, typed: what a plugin may implement, what it is given, what it hands back.

A plugin is a module (or object) found by an entry point of the group ``holdstill``. It states ``API = 0`` and marks its
functions with ``hookimpl``. It implements the hooks it has a talent for, and names only the arguments it wants.

The core never broadcasts an action: each call goes to *one* chosen plugin, and what comes back is checked to be of the
type stated here. An exception that is no ``HoldstillError`` is reported as that plugin's fault.
docs/reference/hooks.md says how plugins are loaded and chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pluggy

from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.fsck import FilesystemCheck
from holdstill.model.image import Image
from holdstill.model.volume import FilesystemFacts, VolumeFacts
from holdstill.spi.activation import Activation
from holdstill.spi.checks import HostCheck
from holdstill.spi.compatibility import Compatibility
from holdstill.spi.holds import Undone
from holdstill.spi.machine import Machine
from holdstill.spi.manager import Manager
from holdstill.spi.newvolume import NewVolume
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import Runner
from holdstill.spi.still import Freeze, HoldRequest, Still
from holdstill.spi.target import Target
from holdstill.spi.volume import Volume
from holdstill.spi.workforce import Workforce

#: the entry-point group, and pluggy's project name
PROJECT: Final = "holdstill"
#: raised when a working plugin would stop working; 0.x until the LVM2 and JFS2 providers have lived in it
API: Final = 0

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def provider_info() -> ProviderInfo:  # type: ignore[empty-body]
    """Say what this plugin is. Required. No I/O."""


@hookspec
def reach(url: str, runner: Runner) -> Machine | None:
    """Reach another machine, whose URL has one of the schemes of ``provider_info().schemes`` and no path; None: not one
    of mine. ``runner`` starts programs here. Asked again and again for the same machine. Raises ``MachineError`` and
    its kinds.
    """


@hookspec
def identify(path: str, runner: Runner, machine: Machine | None) -> Volume | None:
    """Find the volume behind what the user named: a device node, a mount point, an image file.

    ``path`` is absolute. None: not one of mine (then the core's plain-file volume is tried). Raises ``VolumeMissing``,
    ``VolumeDenied``, ``VolumeUnusable``. Only asked of plugins that apply here. The file system need not be filled
    in: ``recognise`` does that. ``runner`` is for asking. With a ``machine`` the path is of that machine, ``runner``
    runs there, only plugins whose ``ProviderInfo.systems`` has its system are asked, and the volume says ``machine``.
    """


@hookspec
def list_volumes(runner: Runner) -> list[VolumeFacts]:  # type: ignore[empty-body]
    """Every volume of this host that could be imaged, for ``holdstill volumes``."""


@hookspec
def check_host(runner: Runner, machine: Machine | None) -> list[HostCheck]:  # type: ignore[empty-body]
    """What the plugin takes for so on this host, or on ``machine``, asked of it: for ``holdstill providers --check``.
    Changes nothing.
    """


@hookspec
def recognise(reader: Reader) -> FilesystemFacts | None:
    """Say what is in the volume, from its signature, or None. Never raises for what is on the disk; may raise
    ``ReadFault``.
    """


@hookspec
def enumerate_used_blocks(reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume:  # type: ignore[empty-body]
    """Read which blocks the file system has allocated, from the reader alone: no OS call.

    Obligations: a superset is slow, a subset is data loss. Anything unknown, damaged or out of date is
    ``WholeVolume(reason)``, or ``StructureFault`` while the windows are iterated. Every byte is hostile: bounded loops,
    bounded memory, checked offsets. Raises ``VolumeUnusable`` for what no image of this volume alone can bring back:
    one of several devices of a file system.
    """


@hookspec
def manage(volume: Volume, runner: Runner) -> Manager | None:
    """Speak for the volume manager that ``volume`` is of, before it is held; None: not one of mine. Changes nothing."""


@hookspec
def activate(path: str, request: HoldRequest) -> Activation | None:
    """Make the volume behind ``path`` appear, which the system knows and has not brought up; None: not one of mine, or
    it is there. It is in ``request.holds`` before it appears.
    """


@hookspec
def snapshot(volume: Volume, request: HoldRequest) -> Still:  # type: ignore[empty-body]
    """Make a still of a volume that stays in use. Whatever is acquired is in ``request.holds`` before it exists."""


@hookspec
def freeze(volume: Volume, request: HoldRequest) -> Freeze:  # type: ignore[empty-body]
    """Hold the volume's writers for at most ``request.limit`` seconds. It thaws by itself when we die."""


@hookspec
def create_volume(name: str, size: int, request: HoldRequest) -> NewVolume | None:
    """Make a new volume of at least ``size`` bytes for a restore; None: not a name of mine. It is in ``request.holds``
    before it exists.
    """


@hookspec
def restore(image: Image, target: Volume, runner: Runner) -> RestoreTarget | None:
    """Take part in a restore, or None. All plugins that answer are asked for their objections."""


@hookspec
def check_filesystem(volume: Volume, filesystem: str, runner: Runner) -> FilesystemCheck | None:
    """Check a file system that nobody has mounted, and mend it: ``filesystem`` as ``FilesystemFacts.name`` spells it;
    None: not one of mine. First without changing anything, where that can be.
    """


@hookspec
def compatibility() -> Compatibility:  # type: ignore[empty-body]
    """The rules on which client may image what, and where that may go. No I/O. One plugin has them."""


@hookspec
def storage_target(url: str) -> Target:  # type: ignore[empty-body]
    """Open the target behind ``url``, whose scheme is one of ``provider_info().schemes``. Makes nothing there."""


@hookspec
def workforce(url: str) -> Workforce:  # type: ignore[empty-body]
    """Reach workers for the heavy reading; the URL's scheme is one of ``provider_info().schemes``. Raises
    ``WorkersLost``, ``UsageError``.
    """


@hookspec
def undo(kind: str, version: int, data: dict[str, str], runner: Runner, find: Callable[[str], Volume]) -> Undone | None:
    """Undo one thing that a failed or killed run left held; None: not a kind of mine.

    Only what ``data`` proves to be ours is touched. ``runner`` runs, and ``find`` finds volumes by their paths, on the
    machine on which it was held.
    """
