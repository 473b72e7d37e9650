"""What is known of a volume before anything is done to it."""

from __future__ import annotations

import enum

import attrs


class VolumeKind(enum.StrEnum):
    """What kind of thing holds the bytes."""

    BLOCK = "block"
    FILE = "file"


@attrs.frozen
class Mount:
    """One mount of a volume. ``read_only`` is the superblock's state, not the mount point's."""

    path: str
    filesystem: str
    options: str = ""
    read_only: bool = False
    root: str = "/"
    """Which directory of the file system is shown there; not ``/`` for a bind mount of a part."""
    namespace: str = ""
    """Empty for our own mount namespace, else whose (a process id), as far as visible."""


@attrs.frozen
class Layer:
    """One storey of the storage stack below or above a volume, nearest first.

    ``kind``: ``disk``, ``partition``, ``loop``, ``dm``, ``lvm2``, ``md``, ``crypt``, ``file`` ...
    """

    kind: str
    name: str
    detail: str = ""


@attrs.frozen
class FilesystemFacts:
    """What is in the volume, from its signature. ``name`` is the kind as libblkid spells it: ``ext4``, ``xfs``,
    ``LVM2_member`` ...
    """

    name: str
    label: str = ""
    uuid: str = ""
    block_size: int = 0
    detail: str = ""


@attrs.frozen
class VolumeFacts:
    """A volume as ``identify`` found it. Frozen: it says how things were, not how they are."""

    path: str
    """What the user named, made absolute. On another machine: a URL."""
    device: str
    """What is read: the device node or file behind ``path``, as its own machine calls it."""
    kind: VolumeKind
    size: int
    logical_sector: int = 512
    physical_sector: int = 512
    filesystem: FilesystemFacts | None = None
    mounts: tuple[Mount, ...] = ()
    nested: tuple[Mount, ...] = ()
    """Other file systems mounted below one of ``mounts``."""
    holders: tuple[str, ...] = ()
    """Who else has it, in words: ``dm-3 (vg-home)``, ``swap``, ``loop4`` ..."""
    layers: tuple[Layer, ...] = ()
    serial: str = ""
    identity: str = ""
    """What says that two runs see the same volume: a device's stable name or UUID, a file's path."""
    facts: dict[str, str] = attrs.field(factory=dict)
    """Anything more a platform knows and a provider may want (LV and VG names, PP size ...)."""

    @property
    def names(self) -> frozenset[str]:
        """What a user may call it. On another machine the device alone would name one of this host."""
        names = {self.path, self.identity}
        if self.path.startswith("/"):
            names.add(self.device)
        return frozenset(names - {""})

    @property
    def in_use(self) -> bool:
        """Is it mounted, or held by anything?"""
        return bool(self.mounts or self.holders)


class Mode(enum.StrEnum):
    """How the volume is held while it is read."""

    AUTO = "auto"
    SNAPSHOT = "snapshot"
    STATIC = "static"
    FREEZE = "freeze"
    OFFLINE = "offline"
    DYNAMIC = "dynamic"


class Consistency(enum.StrEnum):
    """What the image is an image of."""

    POINT_IN_TIME = "point-in-time"
    FUZZY = "fuzzy"
