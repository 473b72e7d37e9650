"""Machines that are reached over a network, and are this host after all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from holdstill.errors import HoldstillError, OwnGround
from holdstill.pipeline.finding import find
from holdstill.plugins.registry import Plugins
from holdstill.spi.machine import Machine
from holdstill.spi.volume import Volume

#: Linux gives each start of a kernel a name of its own, containers or not (random(4))
_BOOT: Final = "/proc/sys/kernel/random/boot_id"
_LIMIT: Final = 120.0


def as_here(plugins: Plugins, volume: Volume) -> Volume:
    """The volume as this host knows it, where the way to it leads around and back: only so is it known what of ours is
    on it. Raises ``OwnGround`` where that cannot be told, ``MachineError`` and its kinds.
    """
    if volume.machine is None or not _is_this_host(volume.machine):
        return volume
    try:
        return find(plugins, volume.facts.device)
    except HoldstillError as error:
        raise OwnGround(
            f"{volume.machine.url} is this host, and it cannot be told what of ours is on the volume: {error}",
            subject=volume.facts.path,
            next_step="name the volume by its device, without a URL",
        ) from error


def _is_this_host(machine: Machine) -> bool:
    """By the name of its kernel's start. Other systems have none: there two hosts of one name may be taken for one,
    which at worst looks at a device of ours in vain.
    """
    if not sys.platform.startswith(machine.system):
        return False
    ran = machine.runner.ask(["cat", _BOOT], limit=_LIMIT)
    if not ran.ok:
        return machine.name == os.uname().nodename
    return ran.out.strip() == Path(_BOOT).read_text().strip()
