"""Choosing exactly one plugin for a job: none is an error that says what to install, two an error that names both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import attrs

from holdstill.errors import AmbiguousProvider, NoProvider, UsageError
from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.catalogue import claims, owner_of, would_help
from holdstill.plugins.loading import BrokenPlugin, Origin
from holdstill.spi.machine import Machine
from holdstill.spi.provider import ProviderInfo

T = TypeVar("T")


@attrs.frozen
class Plugin:
    """A plugin that works: loaded, checked, and asked what it is."""

    origin: Origin
    info: ProviderInfo
    hooks: frozenset[str]
    module: object = attrs.field(repr=False)

    def __str__(self) -> str:
        return str(self.origin)


def able(plugins: Iterable[Plugin], hook: str, talent: str, wanted: str) -> list[Plugin]:
    """Those that implement ``hook`` and claim ``wanted`` among their ``talent`` (``schemes``, ``filesystems``)."""
    return [plugin for plugin in plugins if hook in plugin.hooks and claims(plugin.info, talent, wanted)]


def here(plugins: Iterable[Plugin], hook: str) -> list[Plugin]:
    """Those that implement ``hook`` and whose operating system this is."""
    return [plugin for plugin in plugins if hook in plugin.hooks and plugin.info.applies_here]


def serving(plugins: Iterable[Plugin], hook: str, machine: Machine | None) -> list[Plugin]:
    """Those that implement ``hook`` and serve what is on ``machine``; None: on this host."""
    if machine is None:
        return here(plugins, hook)
    return [plugin for plugin in plugins if hook in plugin.hooks and machine.system.startswith(plugin.info.systems)]


def the_one(claimants: Sequence[Plugin], what: str) -> Plugin:
    """The only claimant. ``what`` completes "both claim ..."."""
    if len(claimants) > 1:
        raise ambiguous(claimants, what)
    return claimants[0]


def the_answer(answers: Sequence[tuple[Plugin, T]], what: str) -> T | None:
    """What the plugins say, if they agree. ``what`` completes "both claim ..."."""
    if not answers:
        return None
    if any(answer != answers[0][1] for _, answer in answers[1:]):
        raise ambiguous([plugin for plugin, _ in answers], what)
    return answers[0][1]


def fuller(answers: Sequence[FilesystemFacts]) -> FilesystemFacts | None:
    """All that several say of one file system; None where there is nothing, or two contradict each other.

    Whoever leaves a field empty says nothing about it. Details are no contradiction: both are kept.
    """
    merged: dict[str, Any] = {}
    for facts in answers:
        for name, value in attrs.asdict(facts).items():
            said = merged.get(name)
            if name == "detail" and said and value and value != said:
                merged[name] = f"{said}; {value}"
            elif said and value and value != said:
                return None
            else:
                merged[name] = said or value
    return FilesystemFacts(**merged) if merged else None


def ambiguous(claimants: Iterable[Plugin], what: str) -> AmbiguousProvider:
    """The error that names every claimant."""
    everybody = sorted(str(plugin) for plugin in claimants)
    return AmbiguousProvider(
        f"{' and '.join(everybody)} {'both' if len(everybody) == 2 else 'all'} claim {what}",
        next_step="uninstall all but one of them, or name one in HOLDSTILL_BLOCK",
    )


def remedy(broken: Iterable[BrokenPlugin], talent: str, wanted: str) -> str:
    """What to do so that ``wanted`` works: repair what is installed, or install what brings it. May be empty."""
    helper = would_help(talent, wanted)
    if helper is None:
        return ""
    for wreck in broken:
        if wreck.origin.distribution == helper.distribution:
            return f"{helper.distribution} is installed, but its plugin cannot be used: {wreck.reason}"
    return f"install {helper.distribution}"


def unsettable(plugins: Iterable[Plugin], broken: Iterable[BrokenPlugin], setting: str) -> UsageError | None:
    """The error of a ``provider.setting`` that nobody who is installed has; None if somebody does."""
    provider, _, own = setting.partition(".")
    known = {plugin.info.name: plugin.info.settings for plugin in plugins}
    if own in known.get(provider, ()):
        return None
    for wreck in broken:
        if wreck.origin.name == provider:
            return UsageError(f"the provider {provider} cannot be used: {wreck.reason}")
    if provider in known:
        there = [f"{provider}.{each}" for each in known[provider]]
        message = f"{provider} has no setting {own!r}" if there else f"nothing can be set of {provider}"
    else:
        there = [f"{name}.{each}" for name, settings in known.items() for each in settings]
        message = f"no provider called {provider!r} is installed, so {setting} would have no effect"
        if owner := owner_of(provider):
            return UsageError(message, next_step=f"install {owner}")
    import difflib  # only here: every backup waits for what is loaded above

    near = difflib.get_close_matches(setting, there, 1)
    what_there_is = f"did you mean {near[0]}?" if near else f"there is: {', '.join(there) or 'none'}"
    return UsageError(message, next_step=what_there_is)


def nobody(message: str, subject: str, help_: str) -> NoProvider:
    """The error of a job that no plugin can do."""
    return NoProvider(message, subject=subject, next_step=help_ or "`holdstill providers` shows what is installed")
