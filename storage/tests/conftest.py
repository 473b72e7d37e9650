"""Real, small file systems to put objects on."""

import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def mounts(folder):
    """A function that mounts a fresh file system of a kind and a size below ``folder``. Unmounts them in the end."""
    with contextlib.ExitStack() as undo:

        def mount(kind, megabytes=320):
            place, image = folder / f"mnt-{kind}", folder / f"disk-{kind}"
            place.mkdir()
            if kind == "tmpfs":
                what = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]
            else:
                image.touch()
                os.truncate(image, megabytes << 20)
                subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
                what = ["-o", "loop", image]
            subprocess.run(["mount", *what, place], check=True)
            undo.callback(subprocess.run, ["umount", "-l", place], check=True)
            return place

        yield mount


@pytest.fixture(autouse=True)
def _root_only(request):
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def mounted(tmp_path):
    """Mounts file systems for one test. Needs root."""
    with mounts(tmp_path) as mount:
        yield mount


@pytest.fixture(scope="module", params=["ext4", "xfs", "btrfs", "tmpfs"])
def filesystem(request, tmp_path_factory):
    """A directory on each kind of file system in turn. Needs root."""
    with mounts(tmp_path_factory.mktemp("filesystem")) as mount:
        yield mount(request.param)
