"""What this distribution gives the engine: a way to other machines."""

from __future__ import annotations

from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.machine import Machine
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.runner import Runner

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    return ProviderInfo(
        name="remote", summary="volumes of machines without Python, by OpenSSH and dd", schemes=("ssh",)
    )


@hookimpl
def reach(url: str, runner: Runner) -> Machine | None:
    """The machine behind ``ssh://[user@]host[:port]``."""
    from holdstill_remote.machine import reached

    return reached(url, runner)
