"""What a frontend asks of the engine."""

from __future__ import annotations

import enum

import attrs

from holdstill.model.choices import OnNoSnapshot, StaticMethod
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
    static_method: StaticMethod | None = None
    """How a mounted volume is made static."""
    freeze_limit: float | None = None
    """Seconds that a freeze may last. What was not read by then is not imaged."""
    pre_command: str | None = None
    """Run before the volume is held: words as a shell would split them, no shell. If it fails, so does the backup."""
    post_command: str | None = None
    """Run as soon as the still stands, or, where the volume cannot be written to while it is held, as soon as it can
    again. Also if the command before failed. Its failure is a warning."""
    command_limit: float | None = None
    """Seconds that each of the two may take; then it is killed, which is a failure."""


@attrs.frozen
class RestoreRequest:
    """Put an image back. Exactly one of ``to_volume`` and ``to_file`` is given."""

    image: str
    """An id, a unique prefix of one, or ``latest``."""
    of_volume: str | None = None
    """With ``latest``: whose."""
    to_volume: str | None = None
    to_file: str | None = None
    proof: bool | None = None
    """Read back and compare? None: what the preferences of the volume say that is written to."""
    unmount: bool = False


@attrs.frozen
class VerifyRequest:
    """Check images; all of them if none is named. ``read_data`` reads and digests every stored byte as well."""

    images: tuple[str, ...] = ()
    read_data: bool = False
