"""Mounted volumes, and the installed command on them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill import Engine
from holdstill_static_unmount.linux import shape, table
from holdstill_testing.torture import dice

COMMAND = Path(sys.executable).parent / "holdstill"


class Place:
    """A file system that people work on, mounted twice, and a repository and state folder elsewhere."""

    def __init__(self, folder, undo):
        self.folder = folder
        self.point = str(folder / "mnt")
        self.bound = str(folder / "bound")
        self.repository = str(folder / "repository")
        self.state = folder / "state"
        image = folder / "volume.img"
        with image.open("wb") as file:
            file.truncate(48 << 20)
        run("mkfs.ext4", "-q", "-F", str(image))
        self.loop = run("losetup", "--find", "--show", str(image))
        undo.callback(run, "losetup", "--detach", self.loop)
        undo.callback(subprocess.run, ["umount", "--lazy", "--all-targets", self.point], capture_output=True)
        for path in (self.point, self.bound):
            Path(path).mkdir()
        undo.callback(subprocess.run, ["umount", "--lazy", self.bound], capture_output=True)
        self.mount()
        Path(self.bound, "data").write_bytes(dice("place").randbytes(12 << 20))
        self.rows = self.mounts()
        self.environment = {**os.environ, "HOLDSTILL_STATE": str(self.state), "HOLDSTILL_REPO": self.repository}
        self.engine = Engine(state=str(self.state))
        self.engine.init(self.repository)

    def mount(self):
        """As after a start of the host."""
        run("mount", "-o", "noatime,nosuid", self.loop, self.point)
        Path(self.point, "files").mkdir(exist_ok=True)
        run("mount", "--bind", f"{self.point}/files", self.bound)
        run("mount", "-o", "remount,bind,nodev", self.bound)

    def unmount(self):
        """As a stop of the host does."""
        for row in reversed(self.mounts()):
            run("umount", row.path)

    def mounts(self):
        return [row for row in table.read() if row.source == self.loop]

    def run(self, *words, **more):
        return subprocess.run(
            [COMMAND, *words], env=self.environment, capture_output=True, text=True, timeout=120, **more
        )

    def start(self, *words, **more):
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": self.environment, **more}
        return subprocess.Popen([COMMAND, *words], **given)

    def result(self, *words):
        return json.loads(self.run(*words, "--json").stdout.splitlines()[-1])

    def images(self):
        return self.engine.images(self.repository)

    def left(self):
        """What is not as it was before: mounts, writability, a freeze."""
        told = shape.differences(self.rows, table.read())
        if len(self.mounts()) != len(self.rows):
            told.append(f"{len(self.mounts())} mounts")
        if not told:
            frozen = subprocess.run(["fsfreeze", "--freeze", self.point], capture_output=True).returncode
            subprocess.run(["fsfreeze", "--unfreeze", self.point], capture_output=True)
            told += ["frozen"] if frozen else []
        if not told:
            Path(self.bound, "try").write_bytes(b"x")
            Path(self.bound, "try").unlink()
        return told

    def journals(self):
        return list((self.state / "runs").glob("*.run"))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path):
    with contextlib.ExitStack() as undo:
        yield Place(tmp_path, undo)
