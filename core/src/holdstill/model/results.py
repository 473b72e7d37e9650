"""What the engine hands back when a job is done."""

from __future__ import annotations

import attrs

from holdstill.model.image import Sizes, Unread
from holdstill.model.volume import Consistency, FilesystemFacts, Mode, VolumeFacts


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


@attrs.frozen
class Finding:
    """One thing that ``verify`` found wrong: the object's key, what is wrong with it, which images need it."""

    key: str
    problem: str
    images: tuple[str, ...] = ()


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


@attrs.frozen
class MapResult:
    """What is known of a volume's used blocks; the runs themselves come as a stream beside it."""

    volume: VolumeFacts
    filesystem: FilesystemFacts | None
    block_size: int
    used_size: int
    whole_volume_because: str | None
    notes: tuple[str, ...] = ()
