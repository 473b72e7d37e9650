"""What every plugin is held to, before anything it does."""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pluggy
import pytest

from holdstill.plugins import hookspecs
from holdstill.spi.provider import ProviderInfo
from holdstill_testing.suites.base import ConformanceSuite

_IMPL = f"{hookspecs.PROJECT}_impl"
_SPECS: dict[str, Callable[..., object]] = {
    name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")
}
#: what a plugin does not do while it only says what it is
_DEEDS = {
    "open",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "os.listdir",
}

#: which hook keeps what ``provider_info`` announces
_TALENTS = {"schemes": "storage_target", "filesystems": "enumerate_used_blocks"}


class PluginSuite(ConformanceSuite):
    """Override ``plugin`` and ``entry_point``."""

    @pytest.fixture
    def plugin(self) -> Any:  # a module, or any object
        """The module (or object) that the entry point names."""
        raise LookupError("override the `plugin` fixture")

    @pytest.fixture
    def entry_point(self) -> str:
        """The name of its entry point in the group ``holdstill``."""
        raise LookupError("override the `entry_point` fixture")

    @pytest.fixture
    def hooks(self, plugin: object) -> dict[str, Callable[..., object]]:
        """What it has marked as hooks."""
        return {name: hook for name, hook in inspect.getmembers(plugin) if callable(hook) and hasattr(hook, _IMPL)}

    def test_its_entry_point_resolves(self, plugin: object, entry_point: str) -> None:
        """To the plugin, and there is one only."""
        found = [
            point for point in importlib.metadata.entry_points(group=hookspecs.PROJECT) if point.name == entry_point
        ]
        assert len(found) == 1
        assert found[0].load() is plugin

    def test_it_states_the_api(self, plugin: object) -> None:
        """The number that this release of the engine speaks."""
        assert getattr(plugin, "API", None) == hookspecs.API

    def test_its_hooks_are_known(self, hooks: dict[str, Callable[..., object]]) -> None:
        """A misspelt hook is never called, so it is an error."""
        assert hooks, "nothing is marked with hookimpl"
        assert sorted(set(hooks) - set(_SPECS)) == []

    def test_its_hooks_are_marked(self, plugin: object, hooks: dict[str, Callable[..., object]]) -> None:
        """A function of the plugin's own that is named like a hook and not marked is never called either."""
        home = getattr(plugin, "__name__", None)
        own = {name for name in _SPECS if getattr(getattr(plugin, name, None), "__module__", None) == home}
        assert sorted(own - set(hooks)) == []

    def test_pluggy_takes_it(self, plugin: object) -> None:
        """The arguments are among those of the hook."""
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin)

    def test_its_type_hints_are_those_of_the_hooks(self, hooks: dict[str, Callable[..., object]]) -> None:
        """Of every argument it takes, and of what it returns."""
        for name in hooks.keys() & _SPECS.keys():
            promised, stated = get_type_hints(_SPECS[name]), get_type_hints(hooks[name])
            taken = [argument for argument in inspect.signature(hooks[name]).parameters if argument in promised]
            for hint in (*taken, "return"):
                assert stated.get(hint) == promised[hint], f"{name}: {hint} is not typed as in the hook"

    def test_it_says_what_it_is(self, hooks: dict[str, Callable[..., object]]) -> None:
        """Facts that the core can choose by, and the hooks to keep them."""
        info = hooks["provider_info"]()
        assert isinstance(info, ProviderInfo)
        assert info.name
        assert info.summary
        assert info.applies_here or info.because
        assert all(scheme == scheme.lower() for scheme in info.schemes)
        missing = [
            f"{field} without {hook}" for field, hook in _TALENTS.items() if getattr(info, field) and hook not in hooks
        ]
        assert missing == []

    def test_saying_what_it_is_is_cheap(self, hooks: dict[str, Callable[..., object]], deeds: list[str]) -> None:
        """No file, no program, no connection; and the same every time."""
        first = hooks["provider_info"]()
        del deeds[:]
        second = hooks["provider_info"]()
        seen = list(deeds)
        assert seen == []
        assert first == second

    @pytest.fixture
    def deeds(self) -> Iterator[list[str]]:
        """What the interpreter reports (PEP 578) from now on. The hook cannot be removed, only be made deaf."""
        heard: list[str] = []
        listening = [True]

        def hear(event: str, _arguments: tuple[object, ...]) -> None:
            if listening and event in _DEEDS:
                heard.append(event)

        sys.addaudithook(hear)
        yield heard
        listening.clear()
