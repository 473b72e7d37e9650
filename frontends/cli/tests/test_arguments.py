"""The command line itself: sizes, options, help, and how little is loaded to print it."""

import argparse
import json
import os
import re
import subprocess
import sys

import pytest

from holdstill_cli.arguments import size
from holdstill_cli.main import parser

COMMANDS = [
    "init",
    "backup",
    "import",
    "images",
    "show",
    "restore",
    "verify",
    "delete",
    "map",
    "volumes",
    "preferences",
    "providers",
    "target check",
    "recover",
    "accept",
    "compat",
    "completion",
]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("4096", 4096),
        ("512B", 512),
        ("64K", 64 << 10),
        ("64k", 64 << 10),
        ("64KiB", 64 << 10),
        ("1M", 1 << 20),
        ("2GiB", 2 << 30),
        ("3T", 3 << 40),
        ("1PiB", 1 << 50),
    ],
)
def test_a_size_is_read(text, number):
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5G", "64KB", "1 M", "64Kib2", "٣", "1e6", "0x10", "8192P", "1iB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        size(text)


def test_the_gap_size_is_parsed():
    asked = parser().parse_args(["backup", "/dev/null", "--gap-size", "64K"])

    assert asked.gap_size == 64 << 10
    assert parser().parse_args(["backup", "/dev/null", "--gap-size", "0"]).gap_size == 0
    assert parser().parse_args(["backup", "/dev/null"]).gap_size is None


def test_a_bad_gap_size_is_wrong_usage(hold):
    ran = hold("backup", "x", "--gap-size", "64KB")

    assert ran.code == 2
    assert "'64KB' is no size" in ran.err
    assert "holdstill backup --help" in ran.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_what_all_commands_share_may_stand_before_or_after(place):
    shared = ["--repo", "/r", "--json", "--yes"]
    words = [*shared, "delete", "abc"] if place == "before" else ["delete", "abc", *shared]

    asked = parser().parse_args(words, argparse.Namespace(repo=None, json=False, yes=False))

    assert (asked.repo, asked.json, asked.yes) == ("/r", True, True)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["imags"],
        ["target"],
        ["backup", "--mode", "hot", "x"],
        ["backup", "--dry", "x"],
        ["restore", "abc"],
        ["restore", "abc", "--to", "x", "--to-file", "y"],
        ["show"],
        ["completion", "cmd.exe"],
        ["volumes", "--no-such"],
    ],
)
def test_wrong_usage_exits_with_2_and_says_how_it_goes(hold, words):
    ran = hold(*words)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: holdstill")
    assert "--help`" in ran.err


def test_wrong_usage_is_a_result_too(hold, published):
    ran = hold("restore", "--json")

    assert ran.code == 2
    published("result-restore")(ran.result)
    assert ran.result["error"]["id"] == "usage"


def test_a_repository_must_be_named(hold):
    ran = hold("images")

    assert ran.code == 2
    assert "HOLDSTILL_REPO" in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_and_has_an_example(hold, command):
    ran = hold(*command.split(), "--help")

    assert (ran.code, ran.err) == (0, "")
    assert f"example:\n  holdstill {command}" in ran.out
    assert len(ran.out.splitlines()) < 72


def test_help_lists_every_command(hold):
    text = hold("--help").out

    for command in COMMANDS:
        assert re.search(rf"^    {command.split()[0]} +[A-Z].*\.$", text, re.MULTILINE), command


def test_the_version_is_the_engines(hold):
    import holdstill

    assert hold("--version").out == f"holdstill {holdstill.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["backup", "--help"], ["nonsense"]])
def test_nothing_heavy_is_loaded_before_a_command_runs(words):
    script = (
        "import sys, json; from holdstill_cli.main import main; main(sys.argv[1:]); "
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stderr.splitlines()[-1]))

    assert "holdstill_cli.main" in loaded
    heavy = {"numpy", "pluggy", "fsspec", "zstandard", "blake3", "shtab", "hypothesis", "importlib.metadata", "ssl"}
    assert not loaded & heavy
    assert "holdstill.engine" not in loaded


def test_a_command_is_found_where_a_place_is_called_like_another(hold):
    ran = hold("--repo", "prune", "show", "delete")

    assert "init` makes a new one" in ran.err
    assert "usage" not in ran.err


def test_a_mistake_is_told_with_every_command_in_sight(hold):
    ran = hold("--repo", "show", "lose")

    assert ran.code == 2
    assert "'lose'" in ran.err
    assert "backup" in ran.err


def test_a_backup_waits_for_nothing_that_others_need(tmp_path):
    (volume := tmp_path / "volume").write_bytes(b"some bytes" * 1000)
    script = (
        "import sys, json; from holdstill_cli.main import main; "
        "repo, volume = sys.argv[1:]; main(['init', '--repo', repo]); code = main(['backup', '--repo', repo, volume]); "
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "repo", volume],
        env={**os.environ, "HOLDSTILL_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=True,
    )
    code, loaded = json.loads(ran.stderr.splitlines()[-1])

    assert code == 0
    assert "holdstill.pipeline.backup" in loaded
    pipeline = {f"holdstill.pipeline.{name}" for name in ("restore", "transfer", "together", "elsewhere", "resuming")}
    repository = {f"holdstill.repository.{name}" for name in ("verify", "upkeep", "prune", "retention", "spreading")}
    others = {"asyncio", "ssl", "fsspec", "difflib", "numpy.random", "holdstill_platforms.unix.identify"}
    commands = {"holdstill_cli.commands.restore", "holdstill_cli.commands.prune", "holdstill_cli.commands.completion"}
    assert sorted((pipeline | repository | others | commands).intersection(loaded)) == []
