"""A request in which nothing is left open: what the pipeline works from."""

from __future__ import annotations

import attrs

from holdstill.model.choices import ANY_PROVIDER, OnNoSnapshot, StaticMethod
from holdstill.model.requests import OnReadError
from holdstill.model.volume import Mode


@attrs.frozen(kw_only=True)
class BackupOrder:
    """Take an image of one volume, in this way. The fields are those of ``BackupRequest``; what that left open is what
    the preferences say.
    """

    volume: str
    dry_run: bool = False
    snapshot_root: str | None = None
    mode: Mode = attrs.field(converter=Mode)
    gap_size: int
    limit_rate: int
    on_read_error: OnReadError = attrs.field(converter=OnReadError)
    on_no_snapshot: OnNoSnapshot = attrs.field(converter=OnNoSnapshot)
    snapshot_provider: str = ANY_PROVIDER
    provider_settings: str = ""
    static_method: StaticMethod = attrs.field(converter=StaticMethod)
    cache_size: str
    cache_growth: bool
    changed_blocks: bool
    freeze_limit: float
    pre_command: str
    post_command: str
    command_limit: float
    retention_class: str = ""
    as_raw: bool = False
    preferences: dict[str, str] = attrs.field(factory=dict)
    """All that was in force, as text, for the image to record."""
