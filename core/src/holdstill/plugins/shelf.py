"""Plugins in pluggy's manager, checked when they come in and when they answer. The only file that knows the manager."""

from __future__ import annotations

from collections.abc import Iterable
from types import UnionType
from typing import Any

import attrs
import pluggy

from holdstill.errors import HoldstillError, PluginError
from holdstill.plugins import hookspecs
from holdstill.plugins.loading import BrokenPlugin, Candidate, Origin
from holdstill.plugins.selection import Plugin
from holdstill.spi.provider import ProviderInfo


class Shelf:
    """The plugins that work, by name, and the broken ones beside them."""

    def __init__(self, found: Iterable[Candidate], broken: Iterable[BrokenPlugin]) -> None:
        self.plugins: list[Plugin] = []
        self.broken = list(broken)
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for candidate in found:
            try:
                self.plugins.append(self._admit(candidate))
            except PluginError as error:
                self.broken.append(BrokenPlugin(candidate.origin, error.message))
        self.plugins.sort(key=lambda plugin: plugin.origin.name)

    def call(self, plugin: Plugin, hook: str, arguments: dict[str, object]) -> object:
        """What ``plugin`` alone says to ``hook``; None if it says nothing.

        Raises ``PluginError`` for whatever it raises that is no ``HoldstillError``.
        """
        others = [other.module for other in self.plugins if other.module is not plugin.module]
        caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
        try:
            answers = caller(**arguments)
        except HoldstillError:
            raise
        except ModuleNotFoundError as error:
            raise incomplete(plugin, hook, error) from error
        except Exception as error:
            raise fault(plugin.origin, f"{hook} failed: {type(error).__name__}: {error}") from error
        if len(answers) > 1:
            raise fault(plugin.origin, f"implements {hook} twice")
        return answers[0] if answers else None

    def _admit(self, candidate: Candidate) -> Plugin:
        """Register it and ask it what it is. Raises ``PluginError``; then nothing of it stays behind."""
        origin, module = candidate.origin, candidate.module
        spoken = getattr(module, "API", None)
        if type(spoken) is not int or spoken != hookspecs.API:
            said = "does not say which API it speaks" if spoken is None else f"speaks API {spoken!r}"
            raise fault(origin, f"{said}; this core speaks API {hookspecs.API}")
        try:
            self._manager.register(module)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise fault(origin, f"cannot be registered: {error}") from error
        try:
            return self._checked(origin, module)
        except PluginError:
            self._manager.unregister(module)
            raise

    def _checked(self, origin: Origin, module: object) -> Plugin:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise fault(origin, f"implements a hook that this core does not have: {error}") from error
        hooks = frozenset(caller.name for caller in self._manager.get_hookcallers(module) or ())
        if "provider_info" not in hooks:
            raise fault(origin, "does not implement provider_info")
        unnamed = Plugin(origin, ProviderInfo("", ""), hooks, module)
        info = expect(unnamed, "provider_info", ProviderInfo, self.call(unnamed, "provider_info", {}))
        if origin.name and info.name != origin.name:
            raise fault(origin, f"calls itself {info.name}, which its entry point does not")
        if any(other.origin.name == info.name for other in self.plugins):
            raise fault(origin, f"there is a plugin {info.name} already")
        return Plugin(attrs.evolve(origin, name=info.name), info, hooks, module)


def expect(plugin: Plugin, hook: str, expected: type | UnionType, answer: object) -> Any:  # noqa: ANN401  # type[T] has no abstract classes
    """The answer, or ``PluginError`` if it is not of the type that the hook states."""
    if isinstance(answer, expected):
        return answer
    wanted = getattr(expected, "__name__", expected)
    raise fault(plugin.origin, f"{hook} returned {type(answer).__name__}, not {wanted}")


def incomplete(plugin: Plugin, hook: str, error: ModuleNotFoundError) -> PluginError:
    """The error of a plugin that lacks a package of others; one that lacks a part of its own is broken."""
    origin, missing = plugin.origin, (error.name or "").partition(".")[0]
    if not missing or missing == getattr(plugin.module, "__name__", "").partition(".")[0]:
        return fault(origin, f"{hook} failed: {type(error).__name__}: {error}")
    return PluginError(
        f"it needs the Python package {missing!r}, which is not installed",
        subject=str(origin),
        next_step=f"pip install '{origin.distribution}'",
    )


def fault(origin: Origin, what: str) -> PluginError:
    """The error of a plugin that broke its contract."""
    return PluginError(what, subject=str(origin), next_step="report it to its makers; HOLDSTILL_BLOCK switches it off")
