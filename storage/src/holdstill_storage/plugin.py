"""The entry point: which URLs these targets answer to. What a target needs is imported when one is opened."""

from __future__ import annotations

from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.target import Target
from holdstill_storage import urls
from holdstill_storage.kinds import KINDS

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Local directories, and the object stores that fsspec reaches."""
    return ProviderInfo(
        name="storage",
        summary="repositories in local directories, and in what fsspec reaches",
        schemes=("file", *KINDS),
    )


@hookimpl
def storage_target(url: str) -> Target:
    """Open the target behind ``url``: our own for a directory, fsspec's file system for the rest."""
    place = urls.parse(url)
    if place.scheme == "file":
        from holdstill_storage.local import LocalTarget

        return LocalTarget(place.address)
    from holdstill_storage.fsspec_target import FsspecTarget

    return FsspecTarget(place)
