"""The reference pages name every command, option, schema and exit code there is."""

import argparse
import re
from pathlib import Path

import jsonschema
import pytest

from holdstill.errors import ExitCode
from holdstill_cli.main import parser

REFERENCE = Path(__file__).parents[3] / "docs/reference"


def _commands(found, name=""):
    inner = [action for action in found._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield name.strip(), found
    for action in inner:
        for word, beneath in action.choices.items():
            yield from _commands(beneath, f"{name} {word}")


COMMANDS = dict(_commands(parser()))
EVERYWHERE = {"-h", "--help", "--json", "--repo", "--password-file", "--password-command"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_told_with_its_options(name):
    page = (REFERENCE / "command.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    section = sections[name.split()[0]]
    usage = re.search(rf"^    holdstill {name}\b.*(\n {{5,}}.*)*", section, re.MULTILINE)[0]

    for action in COMMANDS[name]._actions:
        told = {option for option in action.option_strings if not option.startswith("--") or option in usage}
        assert set(action.option_strings) <= told | EVERYWHERE, action.option_strings
    assert set(re.findall(r"--[a-z-]+", usage)) <= {
        option for action in COMMANDS[name]._actions for option in action.option_strings
    }


def test_every_exit_code_is_told():
    page = (REFERENCE / "exit-codes.md").read_text()

    assert [
        int(code)
        for code in re.findall(r"^\| (\d+) \| (?=done|not|wrong|damage|interrupted|ended)", page, re.MULTILINE)
    ][: len(ExitCode)] == [code.value for code in ExitCode]


def test_every_command_has_a_schema():
    there = {path.stem for path in (REFERENCE / "schemas").glob("*.json")}

    wanted = {f"result-{name.replace(' ', '-')}" for name in COMMANDS} - {"result-map", "result-completion"}
    assert there == wanted | {"common", "events", "volume-result", "map", "preferences"}


@pytest.mark.parametrize("path", sorted((REFERENCE / "schemas").glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_one(path):
    import json

    schema = json.loads(path.read_text())

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == path.name
