"""Every plugin is loaded on its own, and a broken one is listed with its reason and hurts no other."""

import pytest

from holdstill.errors import PluginError
from holdstill.plugins.hookspecs import API, hookimpl
from holdstill.plugins.registry import Plugins
from holdstill.spi.provider import ProviderInfo


def row(name, distribution=None):
    found = [
        row
        for row in Plugins.installed().rows()
        if row.name == name and (distribution is None or row.distribution == distribution)
    ]
    assert len(found) == 1, found
    return found[0]


def test_a_good_one_is_listed_with_its_hooks_and_facts(install):
    install("good-plugin", "good", version="3.2")
    found = row("good")
    assert (found.distribution, found.version, found.broken) == ("good-plugin", "3.2", None)
    assert found.hooks == ("provider_info",)
    assert found.info == ProviderInfo("good", "a plugin")


GOOD = """
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
API = 0
@hookimpl
def provider_info():
    return ProviderInfo("{name}", "")
"""

BROKEN = {
    "import-error": ("import no_such_module_anywhere", "cannot be imported: ModuleNotFoundError: No module named"),
    "raises": ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    "exits": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
    "syntax": ("def f(:", "cannot be imported: SyntaxError"),
    "no-api": (GOOD.replace("API = 0", ""), f"does not say which API it speaks; this core speaks API {API}"),
    "newer-api": (GOOD.replace("API = 0", "API = 7"), f"speaks API 7; this core speaks API {API}"),
    "bool-api": (GOOD.replace("API = 0", "API = False"), "speaks API False"),
    "no-info": ("API = 0", "does not implement provider_info"),
    "unmarked": (GOOD.replace("@hookimpl", ""), "does not implement provider_info"),
    "typo": (GOOD + "@hookimpl\ndef snapshoot(): pass", "implements a hook that this core does not have: unknown hook"),
    "argument": (GOOD + "@hookimpl\ndef identify(place): pass", "cannot be registered: "),
    "misnamed": (GOOD.replace("{name}", "somebody"), "calls itself somebody, which its entry point does not"),
    "no-facts": (
        GOOD.replace('ProviderInfo("{name}", "")', "None"),
        "provider_info returned NoneType, not ProviderInfo",
    ),
    "facts-fail": (GOOD.replace("return", "raise KeyError(1);"), "provider_info failed: KeyError: 1"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_one_is_listed_with_its_reason_and_the_others_work(install, fault):
    source, reason = BROKEN[fault]
    install("bad-plugin", fault, source)
    install("before-it", "aaa")
    install("after-it", "zzz")
    found = row(fault)
    assert found.broken.startswith(reason)
    assert (found.distribution, found.version, found.hooks, found.info) == ("bad-plugin", "1.0", (), None)
    assert row("aaa").broken is None
    assert row("zzz").broken is None


def test_of_two_strangers_with_one_name_neither_wins(install):
    install("first-dist", "same")
    install("second-dist", "same", version="2.0")
    assert row("same", "first-dist").broken == "duplicate of the plugin same of second-dist 2.0"
    assert row("same", "second-dist").broken == "duplicate of the plugin same of first-dist 1.0"


def test_nobody_takes_a_name_of_ours(install):
    install("holdstill-storage", "storage")
    install("aaa-impostor", "storage")
    assert row("storage", "aaa-impostor").broken.startswith("duplicate of the plugin storage of holdstill-storage")
    assert row("storage", "holdstill-storage").broken is None


def test_one_distribution_may_bring_two_plugins(install):
    install("both", "one")
    install("both", "two")
    assert row("one").broken is None
    assert row("two").broken is None


def test_one_module_under_two_names_is_one_plugin(install, tmp_path):
    install("twice", "one")
    with (tmp_path / "twice-1.0.dist-info" / "entry_points.txt").open("a") as points:
        points.write("other = twice_one\n")
    assert row("one").broken is None
    assert row("other").broken.startswith("cannot be registered")


def test_switches(install, monkeypatch):
    install("good-plugin", "good")
    install("other-plugin", "other", "raise AssertionError('imported')")
    monkeypatch.setenv("HOLDSTILL_PLUGINS", "good, unknown")
    assert row("good").broken is None
    assert row("other").broken == "left out by HOLDSTILL_PLUGINS"
    monkeypatch.setenv("HOLDSTILL_BLOCK", "good")
    assert row("good").broken == "switched off by HOLDSTILL_BLOCK"
    monkeypatch.setenv("HOLDSTILL_PLUGINS", "")
    assert all(found.broken for found in Plugins.installed().rows())


def test_nothing_is_imported_before_it_is_needed(install):
    install("loud", "loud", "raise SystemExit('imported')")
    plugins = Plugins.installed()
    install("late", "late")
    assert "late" in [found.name for found in plugins.rows()]


class Newer:
    """A plugin that also works with cores to come."""

    API = API

    @hookimpl
    def provider_info(self):
        return ProviderInfo("newer", "")

    @hookimpl(optionalhook=True)
    def a_hook_of_tomorrow(self, something):
        raise AssertionError


def test_a_hook_of_a_later_core_may_be_there_if_it_says_it_is_optional():
    assert [found.name for found in Plugins.of(Newer()).rows()] == ["newer"]


def test_given_modules_are_refused_aloud():
    with pytest.raises(PluginError, match="does not say which API it speaks"):
        Plugins.of(object())
    with pytest.raises(PluginError, match="there is a plugin newer already"):
        Plugins.of(Newer(), Newer())
