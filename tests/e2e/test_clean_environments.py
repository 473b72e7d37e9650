"""The distributions as wheels in clean virtual environments: what works alone, and what a bad neighbour may spoil.

Nothing is fetched: wheels of this workspace are built and installed; of the libraries that they declare, and of nothing
else, the files of this environment are linked in.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = {
    "holdstill": "core",
    "holdstill-storage": "storage",
    "holdstill-cli": "frontends/cli",
    "holdstill-testing": "tests",
}


def pip(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project, wheels):
    """The wheel of a project, made with the tools of this environment."""
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, project)


class Environment:
    """A virtual environment that has Python's own library and what is installed into it here."""

    def __init__(self, folder, wheels):
        self.wheels = wheels
        self.python = folder / "bin" / "python"
        self.state = folder / "state"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))

    def install(self, *distributions):
        """Our wheels, and the libraries they declare."""
        pip("--python", self.python, "install", "--no-deps", "--no-index", "--find-links", self.wheels, *distributions)
        for distribution in importlib.metadata.distributions(path=[str(self.packages)]):
            self._link_needs_of(distribution)
        pip("--python", self.python, "check")

    def run(self, *arguments, **environment):
        """A Python program in it. Nothing of the environment around it gets in."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [self.python, "-I", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**kept, "HOLDSTILL_STATE": str(self.state), **environment},
        )

    def tell(self, program, *arguments, **environment):
        """What a program prints as JSON."""
        done = self.run("-c", program, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _link_needs_of(self, distribution):
        for line in distribution.requires or ():
            need = Requirement(line)
            if need.name.startswith("holdstill") or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            library = importlib.metadata.distribution(need.name)
            if self._link(library):
                self._link_needs_of(library)

    def _link(self, library):
        names = {file.parts[0] for file in library.files or () if file.parts[0] not in ("..", "__pycache__")}
        missing = [name for name in names if not (self.packages / name).exists()]
        for name in missing:
            (self.packages / name).symlink_to(library.locate_file(name))
        return bool(missing)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    for project in WORKSPACE.values():
        build(ROOT / project, folder)
    return folder


# --- (a) core and storage alone ------------------------------------------------------------------


@pytest.fixture(scope="module")
def smallest(tmp_path_factory, wheels):
    """The engine and its targets: no platform, no file system, no codec and no digest but the standard library's."""
    environment = Environment(tmp_path_factory.mktemp("smallest"), wheels)
    environment.install("holdstill", "holdstill-storage")
    return environment


BACK_UP_AND_RESTORE = """
import json, sys
from holdstill import BackupRequest, Conversation, Engine, RestoreRequest

repository, volume, restored = sys.argv[1:]
engine, talk = Engine(), Conversation()
facts = engine.init(repository)
saved = engine.backup(repository, BackupRequest(volume=volume), talk)
put_back = engine.restore(repository, RestoreRequest(image=saved.image, to_file=restored), talk)
print(json.dumps({
    "because": saved.whole_volume_because, "used": saved.sizes.used_size, "mode": saved.mode, "digest": facts.digest,
    "consistency": saved.consistency, "proved": put_back.proved, "libraries": sorted(sys.modules),
}))
"""


def test_a_whole_volume_image_works_with_core_and_storage_alone(smallest, tmp_path):
    content = os.urandom(3 << 20) + bytes(2 << 20) + b"the end"
    (tmp_path / "volume").write_bytes(content)
    told = smallest.tell(BACK_UP_AND_RESTORE, tmp_path / "repository", tmp_path / "volume", tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == content
    assert told["proved"] is True
    assert told["used"] == len(content)
    assert (told["mode"], told["consistency"]) == ("offline", "point-in-time")
    assert told["because"] == "no installed plugin recognises file systems; install holdstill-filesystems"
    assert told["digest"] == "blake2b"
    assert not {"zstandard", "blake3", "holdstill_platforms", "holdstill_filesystems"} & set(told["libraries"])


def test_what_would_help_is_named_where_nothing_can_be_done(smallest):
    told = smallest.tell(
        """
import json
from holdstill import BackupRequest, Conversation, Engine, HoldstillError
said = []
for attempt in (Engine().volumes, lambda: Engine().init("gopher://x"), lambda: Engine().map("/").__enter__()):
    try:
        attempt()
    except HoldstillError as error:
        said.append([error.id, error.next_step])
print(json.dumps(said))
"""
    )
    assert told[0] == ["plugin.none", "install holdstill-platforms"]
    assert told[1][0] == "plugin.none"
    assert told[2][0] == "volume.unusable"
    assert "holdstill-platforms" in told[2][1]


# --- (b) bad neighbours --------------------------------------------------------------------------

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.7"
dependencies = ["holdstill"]

[project.entry-points.holdstill]
{plugin} = "{module}"
"""
PLUGIN = """
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo

API = {api}

@hookimpl
def provider_info():
    return ProviderInfo("{plugin}", "a neighbour", schemes=("file",))

@hookimpl
def storage_target(url):
    raise AssertionError("never asked")
"""
BAD = {
    "aaa-broken": ("broken", "import a_library_that_is_not_there"),
    "aaa-newer": ("newer", PLUGIN.format(api=99, plugin="newer")),
    "aaa-duplicate": ("storage", PLUGIN.format(api=0, plugin="storage")),
}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory, wheels):
    """Engine, targets, command and suites, among plugins that are broken, speak another API, and take a name."""
    environment = Environment(tmp_path_factory.mktemp("crowded"), wheels)
    environment.install("holdstill", "holdstill-storage", "holdstill-cli", "holdstill-testing")
    for distribution, (plugin, source) in BAD.items():
        project = tmp_path_factory.mktemp(distribution)
        module = distribution.replace("-", "_")
        (project / f"{module}.py").write_text(source)
        (project / "pyproject.toml").write_text(
            PROJECT.format(distribution=distribution, plugin=plugin, module=module)
            + f'[tool.hatch.build.targets.wheel]\nonly-include = ["{module}.py"]\n'
        )
        build(project, wheels)
        environment.install(distribution)
    return environment


def test_bad_plugins_are_listed_with_their_reasons(crowded):
    rows = crowded.tell(
        "import json, attrs; from holdstill import Engine;"
        "print(json.dumps([[row.name, row.distribution, row.version, row.broken] for row in Engine().providers()]))"
    )
    reasons = {distribution: (name, version, broken) for name, distribution, version, broken in rows}
    assert reasons == {
        "aaa-broken": (
            "broken",
            "0.7",
            "cannot be imported: ModuleNotFoundError: No module named 'a_library_that_is_not_there'",
        ),
        "aaa-newer": ("newer", "0.7", "speaks API 99; this core speaks API 0"),
        "aaa-duplicate": ("storage", "0.7", "duplicate of the plugin storage of holdstill-storage 0.1.0"),
        "holdstill-storage": ("storage", "0.1.0", None),
    }


def test_the_good_ones_work_among_bad_ones(crowded, tmp_path):
    (tmp_path / "volume").write_bytes(b"among bad neighbours" * 5000)
    told = crowded.tell(BACK_UP_AND_RESTORE, tmp_path / "repository", tmp_path / "volume", tmp_path / "restored")
    assert told["proved"] is True
    assert (tmp_path / "restored").read_bytes() == (tmp_path / "volume").read_bytes()


def test_the_command_lists_them(crowded):
    done = crowded.run(crowded.python.with_name("holdstill"), "providers", "--json")
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "speaks API 99" in json.dumps(lines)
    assert lines[-1]["event"] == "result"


# --- (c) a plugin from somebody else -------------------------------------------------------------

EXAMPLE = Path(__file__).parent / "plugins" / "holdstill_example_target"


@pytest.fixture(scope="module")
def foreign(crowded):
    """The same, and a storage plugin that is not of this workspace."""
    build(EXAMPLE, crowded.wheels)
    crowded.install("holdstill-example-target")
    return crowded


def test_a_foreign_storage_plugin_passes_the_published_suites(foreign, tmp_path):
    shutil.copy(EXAMPLE / "test_example_target.py", tmp_path)
    done = foreign.run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 40


def test_an_image_lives_on_a_foreign_target(foreign, tmp_path):
    (tmp_path / "volume").write_bytes(os.urandom(300_000))
    url = f"sqlite://{tmp_path / 'repository.sqlite'}"
    told = foreign.tell(BACK_UP_AND_RESTORE, url, tmp_path / "volume", tmp_path / "restored")
    assert told["proved"] is True
    assert (tmp_path / "restored").read_bytes() == (tmp_path / "volume").read_bytes()
