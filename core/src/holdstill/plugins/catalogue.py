"""Which distribution of ours brings what: only so that an error can say what to install."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.spi.provider import ProviderInfo


@attrs.frozen
class Brings:
    """What installing ``distribution`` adds. ``plugin`` is the name its entry point has, which nobody else may take."""

    distribution: str
    plugin: str
    schemes: tuple[str, ...] = ()
    filesystems: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    """Operating systems, as ``sys.platform`` spells them."""
    modes: tuple[str, ...] = ()
    """Ways to hold a volume."""

    def offers(self, talent: str, wanted: str) -> bool:
        """Is ``wanted`` among its ``schemes``, ``filesystems``, ``platforms`` or ``modes``?"""
        offered: tuple[str, ...] = getattr(self, talent)
        return wanted in offered


STORAGE: Final = (
    "file", "s3", "sftp", "memory", "gs", "gcs", "abfs", "az", "adl", "arrow_hdfs", "box", "dask", "dbfs", "dropbox",
    "ftp", "gdrive", "hdfs", "hf", "http", "https", "lakefs", "local", "oci", "oss", "smb", "tos", "webdav",
    "webhdfs",
)  # fmt: skip

CATALOGUE: Final = (
    # First: fsspec has a protocol of this name too, which is no storage that a repository could be on.
    Brings("holdstill-dask", "dask", schemes=("dask",)),
    Brings("holdstill-storage", "storage", schemes=STORAGE),
    Brings(
        "holdstill-filesystems",
        "filesystems",
        filesystems=("ext2", "ext3", "ext4", "xfs", "btrfs", "jfs", "jfs2", "ntfs", "vfat", "exfat", "ufs", "swap"),
    ),
    Brings("holdstill-platforms", "platforms", platforms=("linux",)),
    Brings("holdstill-static-unmount", "static_unmount", modes=("static", "freeze")),
    Brings("holdstill-lvm2", "lvm2", modes=("snapshot",)),
    Brings("holdstill-jfs2", "jfs2", modes=("snapshot", "freeze")),
    Brings("holdstill-remote", "remote", schemes=("ssh",)),
    Brings("holdstill-fssnap", "fssnap"),
)


def owner_of(plugin: str) -> str | None:
    """The distribution to which the plugin name ``plugin`` belongs; None for a name that is free to all."""
    return next((entry.distribution for entry in CATALOGUE if entry.plugin == plugin), None)


def would_help(talent: str, wanted: str) -> Brings | None:
    """The distribution that brings ``wanted`` (a scheme, a file system, a platform), if one of ours does."""
    return next((entry for entry in CATALOGUE if entry.offers(talent, wanted)), None)


def claims(info: ProviderInfo, talent: str, wanted: str) -> bool:
    """Does a loaded plugin say that it has this talent?"""
    claimed: tuple[str, ...] = getattr(info, talent)
    return wanted in claimed
