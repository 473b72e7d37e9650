"""The suite for plugins passes a sound plugin, and fails each unsound one in the test that names what is wrong."""

import sys

import pytest

pytest_plugins = ["pytester"]

SOUND = """
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.target import Target

API = 0


@hookimpl
def provider_info() -> ProviderInfo:
    return ProviderInfo("planted", "a plugin that is held to the suite", schemes=("planted",))


@hookimpl
def storage_target(url: str) -> Target:
    return object()
"""

SOURCE = """
import importlib
import pytest
from holdstill_testing.suites import PluginSuite


class TestIt(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return importlib.import_module("planted_plugin")

    @pytest.fixture
    def entry_point(self):
        return "planted"
"""

#: what is changed in the sound plugin, into what, and which tests must then fail
EXPECTED = {
    "wrong API": ("API = 0", "API = 99", {"test_it_states_the_api"}),
    "no API": ("API = 0", "", {"test_it_states_the_api"}),
    "misspelt hook": (
        "def storage_target",
        "def storage_tarjet",
        {"test_its_hooks_are_known", "test_it_says_what_it_is"},
    ),
    "forgotten mark": (
        "@hookimpl\ndef storage_target",
        "def storage_target",
        {"test_its_hooks_are_marked", "test_it_says_what_it_is"},
    ),
    "misspelt argument": ("(url: str)", "(uri: str)", {"test_pluggy_takes_it"}),
    "wrong hint of an argument": ("(url: str)", "(url: bytes)", {"test_its_type_hints_are_those_of_the_hooks"}),
    "no hint of an argument": ("(url: str)", "(url)", {"test_its_type_hints_are_those_of_the_hooks"}),
    "wrong hint of the answer": ("-> Target", "-> str", {"test_its_type_hints_are_those_of_the_hooks"}),
    "no hint of the answer": ("-> Target", "", {"test_its_type_hints_are_those_of_the_hooks"}),
    "announces what it has no hook for": (
        'schemes=("planted",)',
        'schemes=("planted",), filesystems=("toyfs",)',
        {"test_it_says_what_it_is"},
    ),
    "shouts its schemes": ('schemes=("planted",)', 'schemes=("PLANTED",)', {"test_it_says_what_it_is"}),
    "says nothing of itself": ("a plugin that is held to the suite", "", {"test_it_says_what_it_is"}),
    "reads a file to say what it is": (
        "    return ProviderInfo",
        "    open(__file__).close()\n    return ProviderInfo",
        {"test_saying_what_it_is_is_cheap"},
    ),
    "runs a program to say what it is": (
        "    return ProviderInfo",
        "    import subprocess\n    subprocess.run(['true'])\n    return ProviderInfo",
        {"test_saying_what_it_is_is_cheap"},
    ),
    "changes its mind": (
        'ProviderInfo("planted"',
        'ProviderInfo(str(__import__("time").perf_counter_ns())',
        {"test_saying_what_it_is_is_cheap"},
    ),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a plugin and its entry point where Python finds them."""

    def place(source: str, entry: str = "planted_plugin") -> None:
        facts = tmp_path / "site" / "planted-1.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1\n")
        (facts / "entry_points.txt").write_text(f"[holdstill]\nplanted = {entry}\n")
        (tmp_path / "site" / "planted_plugin.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.delitem(sys.modules, "planted_plugin", raising=False)

    return place


def test_a_sound_plugin_keeps_everything(run_suite, install):
    install(SOUND)
    verdict = run_suite(SOURCE)
    assert verdict.failed == verdict.skipped == set(), verdict.text
    assert len(verdict.passed) == 8


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_planted_fault_is_caught_where_it_is_named(run_suite, install, fault):
    sound, wrong, expected = EXPECTED[fault]
    assert SOUND.count(sound) == 1
    install(SOUND.replace(sound, wrong))
    assert run_suite(SOURCE).failed == expected


def test_an_entry_point_that_leads_elsewhere_is_caught(run_suite, install):
    install(SOUND, entry="json")
    assert run_suite(SOURCE).failed == {"test_its_entry_point_resolves"}
