"""The machine against real loop mounts."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from holdstill_platforms.linux.identify import identify
from holdstill_static_unmount.linux import table
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_testing.torture import rounds


class RealWorld:
    """A small ext4 on a loop device, mounted in several ways."""

    def __init__(self, template, run, shared_root, extras):
        self.kernel = Kernel()
        self.undo = contextlib.ExitStack()
        folder = Path(self.undo.enter_context(tempfile.TemporaryDirectory(prefix="holdstill-machine-")))
        image = str(folder / "image")
        run("cp", "--sparse=always", template, image)
        self.loop = run("losetup", "--find", "--show", image)
        self.undo.callback(run, "losetup", "--detach", self.loop)
        self.base = folder / "base"
        self.base.mkdir()
        run("mount", "-t", "tmpfs", "tmpfs", str(self.base))
        self.undo.callback(run, "umount", "--lazy", str(self.base))
        run("mount", "--make-shared" if shared_root else "--make-private", str(self.base))
        first = self.base / "a"
        first.mkdir()
        run("mount", "-o", "noatime,nosuid", self.loop, str(first))
        if extras:
            run("mount", f"--make-{extras[0]}", str(first))
        (first / "sub").mkdir(exist_ok=True)
        for number, (source, kinds, options) in enumerate(extras[1:]):
            place = self.base / f"b{number}"
            place.mkdir()
            if subprocess.run(["mount", "--bind", f"{first}{source}", place], capture_output=True).returncode:
                continue  # what is unbindable
            for kind in kinds:
                run("mount", f"--make-{kind}", str(place))
            run("mount", "-o", f"remount,bind,{options}", str(place))

    def volume(self):
        return identify(self.loop)

    def close(self):
        for row in reversed([row for row in table.read() if row.source == self.loop]):
            subprocess.run(["umount", row.path], capture_output=True)
        self.undo.close()


@pytest.mark.root
@pytest.mark.torture
def test_against_real_mounts(drive, tmp_path, run):
    template = tmp_path / "template"
    with template.open("wb") as file:
        file.truncate(8 << 20)
    run("mkfs.ext4", "-q", "-F", str(template))

    drive(functools.partial(RealWorld, str(template), run), rounds(200), 8)
    assert os.listdir(tmp_path) == ["template"]
