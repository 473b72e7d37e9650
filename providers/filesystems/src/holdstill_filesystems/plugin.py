"""The plugin: which hooks are implemented, and by whom."""

from __future__ import annotations

from typing import Final

from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill_filesystems.ext.usedmap import used_blocks
from holdstill_filesystems.recognise import recognised

API: Final = 0
_EXT: Final = ("ext2", "ext3", "ext4")


@hookimpl
def provider_info() -> ProviderInfo:
    """Say what this plugin is."""
    return ProviderInfo("filesystems", "used blocks of file systems, read from the volume alone", filesystems=_EXT)


@hookimpl
def recognise(reader: Reader) -> FilesystemFacts | None:
    """Say what is in the volume."""
    return recognised(reader)


@hookimpl
def enumerate_used_blocks(reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume:
    """Read which blocks are in use, or say why that is not known."""
    if facts.name not in _EXT:
        return WholeVolume(f"{facts.name}: its used blocks cannot be read yet")
    return used_blocks(reader)
