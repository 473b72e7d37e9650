"""From what the user named to a volume, and the list of those that are mounted."""

from __future__ import annotations

import contextlib
import posixpath
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import VolumeError, VolumeMissing, VolumeUnusable
from holdstill.model.volume import Mount, VolumeFacts, VolumeKind
from holdstill.spi.machine import Machine
from holdstill.spi.runner import Runner
from holdstill_platforms.unix.aix import Aix
from holdstill_platforms.unix.asking import Asking
from holdstill_platforms.unix.devices import LocalDevices
from holdstill_platforms.unix.hpux import HpUx
from holdstill_platforms.unix.solaris import Solaris
from holdstill_platforms.unix.system import Mounted, System
from holdstill_platforms.unix.volume import UnixVolume

SYSTEMS: Final[tuple[System, ...]] = (Aix(), HpUx(), Solaris())


def system_of(platform: str) -> System | None:
    """The one that ``sys.platform`` means."""
    return next((system for system in SYSTEMS if platform.startswith(system.prefix)), None)


def identify(path: str, system: System, runner: Runner, machine: Machine | None = None) -> UnixVolume | None:
    """The volume behind a mount point, a block or raw device, or the bare name of a logical volume of AIX; of this
    host, or of ``machine``. None: a plain file of this host.

    Raises ``VolumeMissing``, and ``VolumeUnusable`` for what is no volume or for an answer that is not understood.
    """
    ask = Asking(runner)
    named = path if machine is None else machine.url + path
    rows = system.mounts(ask)
    asked = posixpath.normpath(path)
    mounted = next((row for row in reversed(rows) if row.place == asked), None)
    device = mounted.device if mounted else system.block(asked)
    if mounted and not mounted.device.startswith("/dev/"):
        raise VolumeUnusable(
            f"this {mounted.filesystem} is mounted from {mounted.device}, which is no device of that host",
            subject=named,
            next_step="name a file system that has a device",
        )
    if device is None:
        if machine is None and Path(asked).is_file():
            return None
        device = _named(named, asked, system, ask, here=machine is None)
    elif not mounted and machine is None and not Path(device).exists():
        raise VolumeMissing("there is no such device", subject=named, next_step="look at `holdstill volumes`")
    try:
        facts = _facts(named, device, system, ask, rows)
    except VolumeUnusable as error:
        raise VolumeUnusable(error.message, subject=named, next_step=error.next_step) from error
    if machine is not None:
        facts = attrs.evolve(facts, identity=f"{machine.url}/{facts.identity.lstrip('/')}")
    return UnixVolume(facts, system, ask, machine or LocalDevices(), machine)


def mounted_volumes(system: System, runner: Runner) -> list[VolumeFacts]:
    """Every device that something is mounted from and whose size is told. Others can be named."""
    ask = Asking(runner)
    rows = system.mounts(ask)
    found = []
    for device in dict.fromkeys(row.device for row in rows if row.device.startswith("/dev/")):
        try:
            found.append(_facts(device, device, system, ask, rows))
        except VolumeError:
            continue  # a cluster's, a CD's: it can be named, and says why not
    return found


def _named(named: str, asked: str, system: System, ask: Asking, *, here: bool) -> str:
    """A logical volume by its name alone: typed where we are, or without any directory on the other host."""
    there = here and Path(asked).exists()
    folder, name = posixpath.split(asked)
    device = system.named(name) if folder == (str(Path.cwd()) if here else "/") and not there else None
    if device is not None:
        with contextlib.suppress(VolumeUnusable):
            system.describe(ask, device)
            return device
    if here and not there:
        raise VolumeMissing("there is no such volume", subject=named, next_step="look at `holdstill volumes`")
    raise VolumeUnusable(
        "nothing is mounted there, and it is no device",
        subject=named,
        next_step="name the device, its mount point, or an image file",
    )


def _facts(path: str, device: str, system: System, ask: Asking, rows: list[Mounted]) -> VolumeFacts:
    described = system.describe(ask, device)
    own = [row for row in rows if row.device == device]
    places = [row.place for row in own]
    below = [row for row in rows if any(row.place != place and _inside(row.place, place) for place in places)]
    swapped = () if own or device not in system.swaps(ask) else ("the system swaps to it",)
    return VolumeFacts(
        path=path,
        device=device,
        kind=VolumeKind.BLOCK,
        size=described.size,
        mounts=tuple(_mount(row) for row in own),
        nested=tuple(_mount(row) for row in below),
        holders=(*described.holders, *swapped),
        layers=described.layers,
        identity=described.identity,
        facts={**described.facts, "system": system.name},
    )


def _inside(path: str, place: str) -> bool:
    return path.startswith(f"{place.rstrip('/')}/")


def _mount(row: Mounted) -> Mount:
    return Mount(row.place, row.filesystem, row.options, row.read_only)
