"""A volume group of its own for each test, volumes on it, and an engine that images them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from holdstill import BackupRequest, Engine, RestoreRequest
from holdstill.errors import HoldstillError
from holdstill.model.volume import Mode
from holdstill_testing.conversations import Agreeing

DISK = "/dev/vdb"
GROUP = "test-vg"


def run(*command, check=True):
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert ran.returncode == 0 or not check, f"{command}: {ran.stderr}{ran.stdout}"
    return ran.stdout


@pytest.fixture(name="run")
def _run():
    return run


class Volumes:
    """Logical volumes of the test's group, mounted where the test says."""

    def __init__(self, folder, undo):
        self.folder = folder
        self.undo = undo

    def make(self, name="data", size="128m", filesystem=None, *options):
        run("lvcreate", "-y", "-W", "n", "-n", name, *(options or ("-L", size)), GROUP)
        if filesystem is not None:
            run(*FORMAT[filesystem], self.path(name))
        return self.path(name)

    def path(self, name):
        return f"/dev/{GROUP}/{name}"

    def mount(self, name="data", *options):
        point = self.folder / f"on-{name}"
        point.mkdir(exist_ok=True)
        run("mount", *options, self.path(name), point)
        self.undo.callback(run, "umount", point, check=False)
        return point

    def rows(self, *fields):
        said = run("lvs", "-a", "--reportformat", "json", "-o", ",".join(("lv_name", *fields)), GROUP)
        return {row["lv_name"].strip("[]"): row for row in json.loads(said)["report"][0]["lv"]}

    def names(self):
        return set(self.rows())

    def suspended(self):
        said = run("dmsetup", "info", "-c", "--noheadings", "--separator", " ", "-o", "suspended,name")
        return [line for line in said.splitlines() if line.startswith("Suspended")]


FORMAT = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}


@pytest.fixture
def undo():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def volumes(tmp_path, undo):
    run("vgcreate", "-y", "-s", "4m", GROUP, DISK)
    undo.callback(_clear)
    return Volumes(tmp_path, undo)


def _clear():
    """Whatever a test left: the next begins with an empty disk."""
    run("umount", "-A", *Path("/dev").glob(f"{GROUP}/*"), check=False)
    for name in run("dmsetup", "info", "-c", "--noheadings", "-o", "name", check=False).split():
        run("dmsetup", "resume", name, check=False)
    run("vgremove", "-ff", "-y", GROUP, check=False)
    run("dmsetup", "remove_all", check=False)
    run("pvremove", "-ff", "-y", DISK, check=False)
    shutil.rmtree(f"/dev/{GROUP}", ignore_errors=True)
    run("dmsetup", "mknodes", check=False)
    run("wipefs", "-a", DISK, check=False)
    run("blkdiscard", "-z", "-l", "512M", DISK)


class Bench:
    """An engine, its state and its repository."""

    def __init__(self, folder):
        self.state = str(folder / "state")
        self.url = str(folder / "repo")
        self.folder = folder
        self.engine = Engine(state=self.state, options=str(folder / "options.toml"))
        self.engine.init(self.url)
        self.talk = Agreeing()

    def backup(self, volume, mode=Mode.SNAPSHOT, talk=None, **more):
        request = BackupRequest(volume=str(volume), mode=mode, **more)
        return self.engine.backup(self.url, request, talk or self.talk)

    def images(self):
        return self.engine.images(self.url)

    def restored(self, image, name="restored"):
        path = self.folder / f"{name}.img"
        path.unlink(missing_ok=True)
        self.engine.restore(self.url, RestoreRequest(image=image, to_file=str(path)), self.talk)
        return path

    def recover(self):
        return self.engine.recover(self.talk)

    def open_lines(self):
        return list((Path(self.state) / "runs").glob("*"))


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "options.toml").write_text("")
    return Bench(tmp_path)


@pytest.fixture
def until():
    def wait(what, limit=120):
        ends = time.monotonic() + limit
        while not (answer := what()):
            assert time.monotonic() < ends, "it never came true"
            time.sleep(0.02)
        return answer

    return wait


@pytest.fixture
def refused():
    """Calls, and returns the error that came."""

    def call(what, *given, **named):
        with pytest.raises(HoldstillError) as caught:
            what(*given, **named)
        return caught.value

    return call
