"""What must be known of a system to know its volumes. One subclass for each; they share nothing but this."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import attrs

from holdstill.model.volume import Layer
from holdstill_platforms.unix.asking import Asking


@attrs.frozen
class Mounted:
    """One row of the mount table."""

    device: str
    """The block device, or what stands in its place (``server:/export``)."""
    place: str
    filesystem: str
    options: str
    """As the table has them."""

    @property
    def read_only(self) -> bool:
        """Can nobody write to it?"""
        return "ro" in self.options.split(",")


@attrs.frozen
class Described:
    """A device, by what the system's volume manager says of it."""

    size: int
    """Bytes."""
    identity: str
    holders: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    facts: Mapping[str, str] = attrs.field(factory=dict)


class System(abc.ABC):
    """Asked with the commands of one system; every method raises ``VolumeUnusable`` for an answer of unknown shape."""

    name: str
    prefix: str
    """As ``sys.platform`` begins there."""

    @abc.abstractmethod
    def mounts(self, ask: Asking) -> list[Mounted]:
        """The mount table, in the order of the system: what is mounted later comes later."""

    @abc.abstractmethod
    def describe(self, ask: Asking, device: str) -> Described:
        """What a block device is. Raises ``VolumeUnusable`` for one whose size nobody tells."""

    @abc.abstractmethod
    def block(self, path: str) -> str | None:
        """The block device that a path below /dev means, also if the raw one was named; None for another path."""

    @abc.abstractmethod
    def raw(self, device: str) -> str:
        """The character device beside a block device: reads of it know no cache. Raises ``VolumeUnusable``."""

    def named(self, name: str) -> str | None:
        """The block device that a bare name may mean, where such names have one meaning."""
        return None

    def swaps(self, ask: Asking) -> list[str]:
        """The block devices that are swapped to, where the devices themselves do not tell."""
        return []
