"""Where a request meets the preferences: what it says itself is above them, what it leaves open is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from holdstill.model.orders import BackupOrder
from holdstill.model.requests import BackupRequest, RestoreRequest
from holdstill.preferences.schema import Preference, schema
from holdstill.preferences.sources import Effective


def given_with(request: BackupRequest | RestoreRequest) -> dict[str, object]:
    """The preferences that a request itself says: its fields that are not None."""
    said = {each.name: getattr(request, field) for each, field in _driven(type(request))}
    return {name: value for name, value in said.items() if value is not None}


def backup_order(request: BackupRequest, effective: Effective) -> BackupOrder:
    """The request, with every field that a preference drives."""
    return BackupOrder(
        volume=request.volume,
        dry_run=request.dry_run,
        snapshot_root=request.snapshot_root,
        as_raw=request.as_raw,
        preferences=effective.texts(),
        **_filled(BackupRequest, effective),
    )


def settled(request: RestoreRequest, effective: Effective) -> RestoreRequest:
    """The same, nothing left open."""
    return attrs.evolve(request, **_filled(RestoreRequest, effective))


def _filled(kind: type, effective: Effective) -> dict[str, Any]:
    return {field: effective[each.name] for each, field in _driven(kind)}


def _driven(kind: type) -> Iterator[tuple[Preference, str]]:
    for each in schema():
        owner, _, field = each.drives.partition(".")
        if owner == kind.__name__:
            yield each, field
