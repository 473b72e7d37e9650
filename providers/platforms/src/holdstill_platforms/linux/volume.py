"""A Linux volume: its facts, and the ways in and out."""

from __future__ import annotations

import attrs

from holdstill.model.volume import VolumeFacts
from holdstill.spi.reader import Reader
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer
from holdstill_platforms.linux import holding, stack, unmounting
from holdstill_platforms.linux.host import Ground, Host
from holdstill_platforms.linux.readers import BlockReader, FileReader
from holdstill_platforms.linux.writers import BlockWriter, FileWriter


@attrs.frozen
class LinuxVolume(Volume):
    """A block device or plain file, as ``identify`` found it."""

    facts: VolumeFacts
    ground: Ground
    """The device's number, or the file's ``(st_dev, st_ino)``."""

    def carries(self, path: str) -> bool:
        """Does ``path`` live on this volume, through loop devices, device-mapper, partitions, an overlay?"""
        return any(storey.ground == self.ground for storey in stack.under_path(Host.look(), path))

    def open_reader(self, *, exclusive: bool) -> Reader:
        """A reader past the page cache. Raises ``VolumeBusy`` naming who uses it, ``VolumeDenied``."""
        path = self.facts.device
        if isinstance(self.ground, int):
            return BlockReader(
                holding.device_to_read(path, self.ground, exclusive=exclusive), path, exclusive=exclusive
            )
        return FileReader(holding.file_to_read(path, self.ground, exclusive=exclusive), path, exclusive=exclusive)

    def open_writer(self) -> Writer:
        """A writer that nobody else shares. Raises ``VolumeBusy`` naming who uses it, ``VolumeDenied``."""
        path = self.facts.device
        if isinstance(self.ground, int):
            return BlockWriter(holding.device_to_write(path, self.ground), path)
        return FileWriter(holding.file_to_write(path, self.ground), path)

    def unmount(self) -> None:
        """Unmount every mount of it in our namespace, deepest first. Raises ``VolumeBusy``."""
        unmounting.unmount(self.facts.device, self.ground)
