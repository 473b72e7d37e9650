"""What a frontend asks of the engine."""

from __future__ import annotations

import enum

import attrs

from holdstill.model.volume import Mode


class OnReadError(enum.StrEnum):
    """What a range that cannot be read means."""

    FAIL = "fail"
    ZERO = "zero"


@attrs.frozen
class BackupRequest:
    """Take an image of one volume."""

    volume: str
    mode: Mode = Mode.AUTO
    gap_size: int | None = None
    """Read along gaps of at most this many bytes; 0 takes the whole volume, used or not; None leaves it to the
    engine."""
    dry_run: bool = False
    on_read_error: OnReadError = OnReadError.FAIL


@attrs.frozen
class RestoreRequest:
    """Put an image back. Exactly one of ``to_volume`` and ``to_file`` is given."""

    image: str
    """An id, a unique prefix of one, or ``latest``."""
    of_volume: str | None = None
    """With ``latest``: whose."""
    to_volume: str | None = None
    to_file: str | None = None
    proof: bool = True
    unmount: bool = False


@attrs.frozen
class VerifyRequest:
    """Check images; all of them if none is named. ``read_data`` reads and digests every stored byte as well."""

    images: tuple[str, ...] = ()
    read_data: bool = False
