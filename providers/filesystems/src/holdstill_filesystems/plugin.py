"""The plugin: which hooks are implemented, and by whom."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill_filesystems import whole
from holdstill_filesystems.recognise import doubt, recognised

API: Final = 0
#: the package that reads the used blocks of what, and its function, if it has several. It is loaded when it is asked:
#: few hosts have more than one of them
_READERS: Final = {
    "ext2": "ext",
    "ext3": "ext",
    "ext4": "ext",
    "vfat": "fat",
    "exfat": "exfat",
    "swap": "swap",
    "ufs": "ufs",
    "xfs": "xfs",
    "btrfs": "btrfs",
    "jfs": "jfs",
    "jfs2": "jfs:used_blocks_of_jfs2",
    "ntfs": "ntfs",
}


@hookimpl
def provider_info() -> ProviderInfo:
    """Say what this plugin is."""
    return ProviderInfo(
        "filesystems", "used blocks of file systems, read from the volume alone", filesystems=tuple(_READERS)
    )


@hookimpl
def recognise(reader: Reader) -> FilesystemFacts | None:
    """Say what is in the volume."""
    return recognised(reader)


@hookimpl
def enumerate_used_blocks(reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume:
    """Read which blocks are in use, or say why that is not known."""
    if facts.name not in _READERS:
        return WholeVolume(whole.reason(facts.name))
    reason = doubt(reader)
    if reason:
        return WholeVolume(reason)
    try:
        return _used_blocks(facts.name)(reader)
    except StructureFault as fault:
        return WholeVolume(fault.message)


def _used_blocks(filesystem: str) -> Callable[[Reader], BlockMap | WholeVolume]:
    """Who reads them. May also raise ``StructureFault``, which means: the whole volume."""
    package, _, function = _READERS[filesystem].partition(":")
    module = importlib.import_module(f"holdstill_filesystems.{package}.usedmap")
    read: Callable[[Reader], BlockMap | WholeVolume] = getattr(module, function or "used_blocks")
    return read
