"""What differs from system to system: how a mount is asked for, and what may be locked against writing."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.errors import NoProvider
from holdstill.model.volume import Mount, VolumeFacts


@attrs.frozen
class System:
    """One system, by the name that the platform gives in the facts of a volume."""

    name: str
    kind_option: str
    """Stands before the kind of file system: ``mount -v jfs2``, ``mount -F ufs``."""
    shown_only: tuple[str, ...] = ()
    """Beginnings of what the mount table shows among the options, and what ``mount`` does not take."""
    lockable: tuple[str, ...] = ()
    """Kinds of file systems whose writers ``lockfs -w`` makes wait, while they stay mounted (lockfs(8))."""

    def settable(self, options: str) -> list[str]:
        """Those of a mount's options that can be asked for."""
        return [each for each in options.split(",") if each and not each.startswith(self.shown_only or ("\0",))]

    def mount(self, device: str, mount: Mount, *, read_only: bool) -> tuple[str, ...]:
        """The command that makes this mount again, with all its options in one ``-o``: on HP-UX only the last counts
        (mount_vxfs(1M)).
        """
        others = [each for each in self.settable(mount.options) if each not in ("ro", "rw")]
        options = ",".join(["ro" if read_only else "rw", *others])
        return "mount", self.kind_option, mount.filesystem, "-o", options, device, mount.path

    def same(self, one: Mount, other: Mount) -> bool:
        """Are these the same mount, options included?"""
        mine, its = (set(self.settable(each.options)) - {"rw"} for each in (one, other))
        return (one.path, one.filesystem, mine) == (other.path, other.filesystem, its)


SYSTEMS: Final = (
    System("Linux", "-t", shown_only=("seclabel",)),  # from afar alone: what it has mounted here is held by its kernel
    System("AIX", "-v"),
    System("HP-UX", "-F", shown_only=("dev=",)),
    System("Solaris", "-F", shown_only=("dev=",), lockable=("ufs",)),
)


def system_of(facts: VolumeFacts) -> System:
    """The one that the volume is of. Raises ``NoProvider``."""
    return named(facts.facts.get("system", ""), facts.path)


def named(name: str, subject: str) -> System:
    """The one of this name. Raises ``NoProvider``."""
    for system in SYSTEMS:
        if system.name == name:
            return system
    raise NoProvider(f"it is not of {', '.join(system.name for system in SYSTEMS)}", subject=subject)
