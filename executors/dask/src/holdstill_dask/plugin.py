"""What this distribution gives the engine: workers on other machines."""

from __future__ import annotations

from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.workforce import Workforce

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    return ProviderInfo(
        name="dask", summary="reading on the workers of a dask.distributed scheduler", schemes=("dask",)
    )


@hookimpl
def workforce(url: str) -> Workforce:
    """The workers of the scheduler at ``dask://HOST[:PORT]``."""
    from holdstill_dask.scheduler import DaskWorkforce  # brings distributed

    return DaskWorkforce(url)
