"""The plugin: which hooks are implemented, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill_filesystems import whole
from holdstill_filesystems.btrfs import usedmap as btrfs
from holdstill_filesystems.exfat import usedmap as exfat
from holdstill_filesystems.ext import usedmap as ext
from holdstill_filesystems.fat import usedmap as fat
from holdstill_filesystems.jfs import usedmap as jfs
from holdstill_filesystems.ntfs import usedmap as ntfs
from holdstill_filesystems.recognise import doubt, recognised
from holdstill_filesystems.swap import usedmap as swap
from holdstill_filesystems.ufs import usedmap as ufs
from holdstill_filesystems.xfs import usedmap as xfs

API: Final = 0
#: who reads the used blocks of what. Each may also raise ``StructureFault``, which means: the whole volume
_MAPS: Final[dict[str, Callable[[Reader], BlockMap | WholeVolume]]] = {
    "ext2": ext.used_blocks,
    "ext3": ext.used_blocks,
    "ext4": ext.used_blocks,
    "vfat": fat.used_blocks,
    "exfat": exfat.used_blocks,
    "swap": swap.used_blocks,
    "ufs": ufs.used_blocks,
    "xfs": xfs.used_blocks,
    "btrfs": btrfs.used_blocks,
    "jfs": jfs.used_blocks,
    "jfs2": jfs.used_blocks_of_jfs2,
    "ntfs": ntfs.used_blocks,
}


@hookimpl
def provider_info() -> ProviderInfo:
    """Say what this plugin is."""
    return ProviderInfo(
        "filesystems", "used blocks of file systems, read from the volume alone", filesystems=tuple(_MAPS)
    )


@hookimpl
def recognise(reader: Reader) -> FilesystemFacts | None:
    """Say what is in the volume."""
    return recognised(reader)


@hookimpl
def enumerate_used_blocks(reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume:
    """Read which blocks are in use, or say why that is not known."""
    if facts.name not in _MAPS:
        return WholeVolume(whole.reason(facts.name))
    reason = doubt(reader)
    if reason:
        return WholeVolume(reason)
    try:
        return _MAPS[facts.name](reader)
    except StructureFault as fault:
        return WholeVolume(fault.message)
