"""Plugins as they are installed, with something of ours put between the engine and what they open."""

from __future__ import annotations

from collections.abc import Callable

from holdstill.plugins.registry import Plugins
from holdstill.spi.machine import Machine
from holdstill.spi.runner import Runner
from holdstill.spi.target import Target
from holdstill.spi.volume import Volume
from holdstill_testing.warm import FOUND


class PutBetween(Plugins):
    """The installed plugins; each target and each volume goes through a function first."""

    def __init__(
        self,
        target: Callable[[Target], Target] = lambda target: target,
        volume: Callable[[Volume], Volume] = lambda volume: volume,
    ) -> None:
        super().__init__(FOUND)
        self._of_target = target
        self._of_volume = volume

    def storage_target(self, url: str) -> Target:
        """What is installed opens it."""
        return self._of_target(super().storage_target(url))

    def identify(self, path: str, runner: Runner | None = None, machine: Machine | None = None) -> Volume | None:
        """What is installed identifies it."""
        volume = super().identify(path, runner, machine)
        return None if volume is None else self._of_volume(volume)
