"""What a frontend asks of the engine."""

from __future__ import annotations

import datetime as dt
import enum

import attrs

from holdstill.model.choices import OnNoSnapshot, StaticMethod
from holdstill.model.retention import Retention
from holdstill.model.volume import Mode


class OnReadError(enum.StrEnum):
    """What a range that cannot be read means."""

    FAIL = "fail"
    ZERO = "zero"


@attrs.frozen
class BackupRequest:
    """Take an image of one volume. What is None here is what the volume's preferences say."""

    volume: str
    mode: Mode | None = None
    gap_size: int | None = None
    """Read along gaps of at most this many bytes; 0 takes the whole volume, used or not."""
    limit_rate: int | None = None
    """Bytes that are read in a second at most; 0: as fast as it goes."""
    dry_run: bool = False
    on_read_error: OnReadError | None = None
    on_no_snapshot: OnNoSnapshot | None = None
    """What ``auto`` means for a volume in use that nothing installed can make a snapshot of."""
    snapshot_provider: str | None = None
    """The name of the one plugin that may make the snapshot, ``any``, or ``none``: then ``auto`` means static."""
    provider_settings: str | None = None
    """What one provider alone understands: words like ``jfs2.extents=fscntl``."""
    static_method: StaticMethod | None = None
    """How a mounted volume is made static."""
    snapshot_root: str | None = None
    """The device of a snapshot of the volume that somebody else has made: that is read, and left as it is."""
    cache_size: str | None = None
    """The space in which a snapshot keeps old blocks: ``20%`` of the volume, or a size. Empty: the provider's rule."""
    cache_growth: bool | None = None
    """May that space be made larger when it is nearly full?"""
    changed_blocks: bool | None = None
    """Keep the snapshot, where it can tell the next one what changed, and read only what changed since the last?"""
    freeze_limit: float | None = None
    """Seconds that a freeze may last. What was not read by then is not imaged."""
    pre_command: str | None = None
    """Run before the volume is held: words as a shell would split them, no shell. If it fails, so does the backup."""
    post_command: str | None = None
    """Run as soon as the still stands, or, where the volume cannot be written to while it is held, as soon as it can
    again. Also if the command before failed. Its failure is a warning."""
    retention_class: str | None = None
    """The class by which the image is kept."""
    command_limit: float | None = None
    """Seconds that each of the two may take; then it is killed, which is a failure."""
    as_raw: bool = False
    """Every byte of the device as it is, whatever is on it and whoever's it is."""


@attrs.frozen(kw_only=True)
class ImportRequest:
    """Bring a raw image file into the repository, as the image that another backup client once made of a volume."""

    file: str
    manager: str
    """The volume manager of the volume that was imaged: ``lvm1``."""
    client: str
    """The level of the client that made it: ``5.3``."""
    filesystem: str | None = None
    """What is in it, where no installed plugin recognises that; ``raw``: no file system."""
    mode: Mode | None = attrs.field(default=None, converter=attrs.converters.optional(Mode))
    """How the client held the volume, if that is known: what it took dynamically is fuzzy."""


@attrs.frozen
class RestoreRequest:
    """Put an image back. Exactly one of ``to_volume``, ``to_file`` and ``to_new_volume`` is given."""

    image: str
    """An id, a unique prefix of one, or ``latest``."""
    of_volume: str | None = None
    """With ``latest``: whose."""
    to_volume: str | None = None
    to_file: str | None = None
    proof: bool | None = None
    """Read back and compare? None: what the preferences of the volume say that is written to."""
    unmount: bool = False
    """If it is mounted, unmount it first and mount it again afterwards. What is fuzzy is mounted only if ``fsck`` says
    that it may be.
    """
    fsck: bool = False
    """Have the file system's own checker look at it after the proof, and mend what it finds."""
    to_new_volume: str | None = None
    """Make this volume first, large enough for the image; a provider knows the name (``vg/lv``)."""
    resume: bool = False
    """Read what is on the target, and write only what differs: after a restore that was killed, or onto an old copy."""


@attrs.frozen
class VerifyRequest:
    """Check images; all of them if none is named. ``read_data`` reads and digests every stored byte as well."""

    images: tuple[str, ...] = ()
    read_data: bool = False
    share: float = 1.0
    """Of the data, 0 to 1: what was read longest ago comes first, so that repeated verifications read everything."""
    max_age: dt.timedelta | None = None
    """Pass over data that was read, and was good, so lately."""
    budget: float | None = None
    """Seconds after which no more data is read."""
    executor: str | None = None
    """With ``read_data``: the URL of the workers that read, ``dask://HOST:8786``. None: threads of this process."""


@attrs.frozen
class PruneRequest:
    """Forget what a policy does not keep, and give back what no image needs."""

    retention: Retention | None = None
    """None: no image is forgotten."""
    volumes: frozenset[str] = frozenset()
    """The policy is for the images of these alone: paths, devices or identities. Empty: for all."""
    repack_below: float = 0.5
    """A pack of which less than this share is needed is taken apart, 0 to 1. At 0 only packs that nobody needs go, at
    1 every byte that nobody needs.
    """
    fence: bool = False
    """Do not wait for backups that began before and have not ended: they begin again by themselves."""
    executor: str | None = None
    """The URL of the workers that take packs apart, ``dask://HOST:8786``. None: threads of this process."""
    dry_run: bool = False


@attrs.frozen
class CopyRequest:
    """Copy images to another repository; those that it has already are passed over."""

    to_url: str
    images: tuple[str, ...] = ()
    """Ids, unique prefixes of some, or ``latest``. Empty: all."""
    of_volume: str | None = None
    """Of this volume only."""
    since: dt.timedelta | None = None
    """No older ones, by this host's clock."""
    executor: str | None = None
    """The URL of the workers that read and store, ``dask://HOST:8786``. None: threads of this process."""
    dry_run: bool = False
