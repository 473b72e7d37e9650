"""The storage plugin of the how-to, as somebody else would ship it: built as a wheel, installed, held to the suites."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent / "plugins" / "holdstill_example_target"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """This environment, with the wheel installed beside it."""
    folder = tmp_path_factory.mktemp("example")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, EXAMPLE], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    return {**os.environ, "PYTHONPATH": str(folder / "site"), "HOLDSTILL_STATE": str(folder / "state")}


def test_it_is_short():
    assert len((EXAMPLE / "holdstill_example_target.py").read_text().splitlines()) < 100


def test_it_passes_the_published_suites(environment, tmp_path):
    shutil.copy(EXAMPLE / "test_example_target.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    passed, skipped = (int(word) for word in done.stdout.splitlines()[-1].replace(",", "").split() if word.isdigit())
    assert passed > 40
    assert skipped == 1


BACK_UP = """
import json, sys
from holdstill import BackupRequest, Conversation, Engine, RestoreRequest

url, volume, restored = sys.argv[1:]
engine = Engine()
engine.init(url)
saved = engine.backup(url, BackupRequest(volume=volume), Conversation())
print(json.dumps(engine.restore(url, RestoreRequest(image=saved.image, to_file=restored), Conversation()).proved))
"""


def test_an_image_lives_on_it(environment, tmp_path):
    content = os.urandom(1 << 20) + bytes(1 << 20)
    (tmp_path / "volume").write_bytes(content)
    names = [f"sqlite://{tmp_path / 'repository.sqlite'}", tmp_path / "volume", tmp_path / "restored"]
    done = subprocess.run([sys.executable, "-c", BACK_UP, *names], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is True
    assert (tmp_path / "restored").read_bytes() == content
