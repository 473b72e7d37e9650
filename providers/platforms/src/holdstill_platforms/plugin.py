"""What this distribution gives the engine: what a volume is on this system, or on a machine that is reached."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from holdstill.model.fsck import FilesystemCheck
from holdstill.model.volume import VolumeFacts
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.checks import HostCheck
from holdstill.spi.machine import Machine
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import Runner
from holdstill.spi.volume import Volume

if TYPE_CHECKING:
    from holdstill_platforms.unix.system import System

API: Final = 0
#: known by their own commands alone, so from afar too
_BY_COMMANDS: Final = ("aix", "hp-ux", "sunos")


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform.startswith(("linux", *_BY_COMMANDS))
    return ProviderInfo(
        name="platforms",
        summary="volumes of Linux, AIX, HP-UX and Solaris: devices, mount points; loop-mounted and plain files",
        applies_here=here,
        because="" if here else f"it knows Linux, AIX, HP-UX and Solaris, and this is {sys.platform}",
        systems=("linux", *_BY_COMMANDS),
    )


@hookimpl
def identify(path: str, runner: Runner, machine: Machine | None) -> Volume | None:
    """The volume behind a block device, a mount point or a plain file."""
    if system := _by_commands(machine):
        from holdstill_platforms.unix.identify import identify as identify_by_commands

        return identify_by_commands(path, system, runner, machine)
    if machine is not None:
        from holdstill_platforms.linux import away

        return away.identify(path, runner, machine)
    from holdstill_platforms.linux.identify import identify as identify_here

    return identify_here(path)


@hookimpl
def list_volumes(runner: Runner) -> list[VolumeFacts]:
    """Every block device that has a size; of the other systems those that are mounted."""
    if system := _by_commands(None):
        from holdstill_platforms.unix.identify import mounted_volumes

        return mounted_volumes(system, runner)
    from holdstill_platforms.linux.identify import every_volume

    return every_volume()


@hookimpl
def check_host(runner: Runner, machine: Machine | None) -> list[HostCheck]:
    """What is recalled of the other systems and was never seen; of this Linux, what its own programs say."""
    from holdstill_platforms.checks import linux, recalled

    if system := _by_commands(machine):
        return list(recalled.checks(system, runner))
    return list(linux.checks(runner)) if machine is None else []


@hookimpl
def restore(target: Volume) -> RestoreTarget | None:
    """What a target keeps of its own: the control block of a logical volume of AIX."""
    from holdstill_platforms import lvcb

    return lvcb.of(target)


@hookimpl
def check_filesystem(volume: Volume, filesystem: str, runner: Runner) -> FilesystemCheck | None:
    """By the programs of Linux."""
    if not (volume.machine.system if volume.machine else sys.platform).startswith("linux"):
        return None
    from holdstill_platforms.linux import fsck

    return fsck.check(volume.facts.device, filesystem, runner)


def _by_commands(machine: Machine | None) -> System | None:
    """The system that is known by its commands, if this is one or the machine has one; elsewhere none is loaded."""
    name = machine.system if machine else sys.platform
    if not name.startswith(_BY_COMMANDS):
        return None
    from holdstill_platforms.unix.identify import system_of

    return system_of(name)
