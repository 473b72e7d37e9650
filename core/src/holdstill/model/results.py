"""What the engine hands back when a job is done."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from holdstill.model.fsck import FilesystemCheck
from holdstill.model.image import Sizes, Unread
from holdstill.model.retention import Fate
from holdstill.model.volume import Consistency, FilesystemFacts, Mode, VolumeFacts

if TYPE_CHECKING:
    from holdstill.model.extents import Extents  # brings numpy, which frontends that only ask for help do not need


@attrs.frozen
class BackupResult:
    """One volume was imaged (or, with ``dry_run``, what would be). ``image`` is None for a dry run."""

    image: str | None
    volume: VolumeFacts
    host: str
    mode: Mode
    consistency: Consistency
    whole_volume_because: str | None
    sizes: Sizes
    new_chunks: int
    reused_chunks: int
    seconds: float
    unread: tuple[Unread, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    resumed_size: int = 0
    """Of ``sizes.image_size`` what runs had stored that ended without an image: it was not stored again."""


@attrs.frozen
class RestoreResult:
    """An image was put back. ``proved``: it was read back past the cache and is equal, zeros included."""

    image: str
    target: str
    volume_size: int
    written_size: int
    proved: bool
    seconds: float
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    kept_size: int = 0
    """With ``resume``: bytes of the volume that were on the target already, and were left alone."""
    fsck: FilesystemCheck | None = None
    """With ``fsck``: how the file system is now."""
    mounted: tuple[str, ...] = ()
    """With ``unmount``: where it is mounted again."""


@attrs.frozen
class Finding:
    """One thing that ``verify`` found wrong: the object's key, what is wrong with it, which images need it."""

    key: str
    problem: str
    images: tuple[str, ...] = ()


@attrs.frozen
class HurtRanges:
    """Which bytes of its volume an image cannot give back."""

    image: str
    volume: str
    ranges: Extents


@attrs.frozen
class VerifyResult:
    """What was checked, and what was found. No findings: all is well, as far as ``read_data`` went."""

    images: tuple[str, ...]
    hurt_images: tuple[str, ...]
    findings: tuple[Finding, ...]
    packs: int
    read_size: int
    read_data: bool
    seconds: float
    left_packs: int = 0
    """With ``read_data``: packs that were left for another time, and not read lately either."""
    hurt_ranges: tuple[HurtRanges, ...] = ()


@attrs.frozen
class Verified:
    """What the last verification of an image came to, by the clock of the host that did it."""

    at: str
    host: str
    hurt: bool
    read_data: bool
    """All of its data was read, lately or then; else it was seen to be there."""


class Worry(enum.StrEnum):
    """How bad it is."""

    NONE = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@attrs.frozen
class Freshness:
    """How a volume's newest image stands. ``image`` and what follows it are None where there is none."""

    host: str
    volume: str
    image: str | None
    taken: str | None
    age: float | None
    """Seconds, by this host's clock."""
    worry: Worry
    reason: str


@attrs.frozen
class KeyFacts:
    """One password's key to a sealed repository."""

    id: str
    label: str
    made: str
    """RFC 3339, UTC."""
    write_only: bool
    """Who knows its password can back up, and read nothing."""
    signer: str
    """The public key to what it signs with, 64 hexadecimal digits: the same one for all that may read."""
    current: bool
    """It is the one in use."""


@attrs.frozen
class MapResult:
    """What is known of a volume's used blocks; the runs themselves come as a stream beside it."""

    volume: VolumeFacts
    filesystem: FilesystemFacts | None
    block_size: int
    used_size: int
    whole_volume_because: str | None
    notes: tuple[str, ...] = ()


@attrs.frozen
class PruneResult:
    """What a prune gave back; with ``dry_run`` what it would. Sizes in bytes, of whole objects."""

    deleted_packs: int
    deleted_size: int
    waiting_packs: int
    """On a list, but not gone yet: a backup is under way that may rely on them, or the target keeps them."""
    waiting_size: int
    kept_packs: int
    kept_size: int
    repack_read_size: int
    """Bytes of blobs that were copied out of packs that are mostly not needed."""
    repack_stored_size: int
    waits_for: tuple[str, ...]
    """Backups that have not ended: what they stored stays, and lists that are younger wait. Host and number of each."""
    dry_run: bool
    seconds: float
    images: tuple[Fate, ...] = ()
    """With a policy: what becomes of each image."""
    locked_packs: int = 0
    """Of the waiting ones those that the target keeps locked."""
    locked_until: str | None = None
    """RFC 3339 UTC: after that a prune can delete all of those."""
    warnings: tuple[str, ...] = ()


@attrs.frozen
class ImageCopy:
    """What became of one image. Sizes in bytes."""

    image: str
    """Its id where it was copied from."""
    copy: str | None
    """Its id in the other repository; None: it is not there (a dry run, or it failed)."""
    volume: str
    host: str
    taken: str
    already: bool
    """It was there before."""
    failed: str = ""
    """Why it could not be copied."""
    read_size: int = 0
    """Read from the one repository."""
    stored_size: int = 0
    """Added to the other."""
    resumed_size: int = 0
    """Of what it needs there, what runs had stored that ended without an image."""
    new_chunks: int = 0
    reused_chunks: int = 0


@attrs.frozen
class CopyResult:
    """What ``copy`` did, image by image, the oldest first."""

    to_repository: str
    copies: tuple[ImageCopy, ...]
    dry_run: bool
    seconds: float


@attrs.frozen
class RepositoryFacts:
    """What ``init`` made."""

    url: str
    repository_id: str
    chunk_size: int
    digest: str
    single_writer: bool
    durability: str
    is_sealed: bool
    lock_for: int = 0
    """Seconds for which nobody can delete what is stored; 0: nothing is locked."""


@attrs.frozen
class Domain:
    """What is imaged where no volume is named."""

    volumes: tuple[str, ...]
    excluded: dict[str, str]
    """Members of which rules say that no image is taken: by name, the rule's place."""
