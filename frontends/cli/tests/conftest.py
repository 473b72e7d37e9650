"""The installed command as a process, real volumes and repositories, and the published schemas."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import attrs
import jsonschema
import pytest
import referencing

from holdstill_cli.main import main

COMMAND = Path(sys.executable).parent / "holdstill"
SCHEMAS = Path(__file__).parents[3] / "docs/reference/schemas"
IMAGE_SIZE = 24 << 20


@attrs.frozen
class Ran:
    """What one run of the command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self):
        *before, last = self.lines
        assert last["event"] == "result"
        assert all(line["event"] != "result" for line in before)
        return last


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A state folder and an options file of the test's own, and no repository by accident."""
    for name in [name for name in os.environ if name.startswith("HOLDSTILL_") or name == "PYTHONUNBUFFERED"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDSTILL_STATE", str(tmp_path / "state"))
    options = tmp_path / "holdstill.toml"
    options.touch(mode=0o600)
    monkeypatch.setenv("HOLDSTILL_OPTIONS", str(options))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return os.environ


@pytest.fixture
def hold(environment, monkeypatch):
    """Run the command in this process, with the real engine and nobody at a terminal: ``hold("images", repo=...)``."""

    def run(*words, repo=None):
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with monkeypatch.context() as patch, open(os.devnull) as nobody:
            patch.setattr(sys, "stdin", nobody)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            if repo:
                patch.setenv("HOLDSTILL_REPO", str(repo))
            code = main([os.fsdecode(word) for word in words])
        return Ran(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())

    return run


@pytest.fixture
def command():
    """Where the installed command is."""
    return COMMAND


@pytest.fixture
def spawn(environment):
    """Run the installed command as a process of its own."""

    def run(*words, repo=None, **more):
        settings = {**environment, **({"HOLDSTILL_REPO": str(repo)} if repo else {})}
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        done = subprocess.run([COMMAND, *words], env=settings, timeout=120, **given)
        return Ran(done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())

    return run


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder of real files."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(20):
        (folder / f"file{number}").write_bytes(bytes([number]) * 50_000 + os.urandom(30_000))
    return folder


@pytest.fixture
def make_volume(tmp_path, files):
    """Make an ext4 file system in a file."""

    def make(name="volume.img"):
        path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
        with open(path, "wb") as file:
            file.truncate(IMAGE_SIZE)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", files, path], check=True, capture_output=True)
        return Path(os.fsdecode(path))

    return make


@pytest.fixture
def volume(make_volume):
    """One volume."""
    return make_volume()


@pytest.fixture
def repo(tmp_path, hold):
    """A repository in a local folder."""
    path = tmp_path / "repo"
    assert hold("init", repo=path).code == 0
    return path


@pytest.fixture
def image(hold, repo, volume):
    """The id of an image of ``volume`` in ``repo``."""
    ran = hold("backup", "--json", volume, repo=repo)
    assert ran.code == 0, ran
    return ran.result["image"]


@pytest.fixture
def corrupt(repo):
    """Damage the largest pack of the repository."""

    def damage():
        largest = max((path for path in repo.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        largest.chmod(0o600)
        with largest.open("r+b") as file:
            file.seek(largest.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0xFF]))

    return damage


def _closed(schema):
    """The same schema, refusing every field that it does not name: nothing unpublished may slip out."""
    if isinstance(schema, dict):
        closed = {key: _closed(value) for key, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        return closed
    return [_closed(each) for each in schema] if isinstance(schema, list) else schema


@pytest.fixture(scope="session")
def published():
    """Validate a line against a published schema, strictly: ``published("map")(line)``."""
    contents = {path.name: _closed(json.loads(path.read_text())) for path in SCHEMAS.glob("*.json")}
    registry = referencing.Registry().with_resources(
        (name, referencing.Resource.from_contents(schema)) for name, schema in contents.items()
    )

    def validator(name):
        return jsonschema.Draft202012Validator(contents[f"{name}.json"], registry=registry).validate

    return validator
