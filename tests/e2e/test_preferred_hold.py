"""A mounted volume in use, held the way its section in the options file says: real mounts, real commands."""

import os
import subprocess

import pytest

from holdstill import BackupRequest, Conversation, Engine, OnNoSnapshot
from holdstill.errors import CommandFailed, VolumeBusy

pytestmark = pytest.mark.root


@pytest.fixture
def mount(tmp_path):
    """An ext4 file system, mounted."""
    image, place = tmp_path / "volume.img", tmp_path / "mnt"
    image.touch()
    os.truncate(image, 16 << 20)
    place.mkdir()
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def options(tmp_path):
    """The options file, empty."""
    path = tmp_path / "holdstill.toml"
    path.touch(mode=0o600)
    return path


@pytest.fixture
def engine(tmp_path, options):
    """With an options file and a state folder of its own."""
    return Engine(state=str(tmp_path / "state"), options=str(options))


@pytest.fixture
def repo(engine, tmp_path):
    """A repository."""
    return engine.init(str(tmp_path / "repo")).url


def mount_options(place):
    with open("/proc/self/mountinfo") as rows:
        return next(row for row in rows if f" {place} " in row)


def test_what_is_in_use_is_held_as_its_section_says(engine, repo, mount, options, tmp_path):
    options.write_text(
        f'[volume."{mount}"]\non-no-snapshot = "static"\n'
        f"presnapshotcmd = \"sh -c 'echo before > {mount}/said'\"\npostsnapshotcmd = \"touch '{mount}/af ter'\"\n"
    )
    before = mount_options(mount)

    result = engine.backup(repo, BackupRequest(str(mount)), Conversation())

    assert (result.mode, result.warnings) == ("static", ())
    assert mount_options(mount) == before
    assert (mount / "said").read_text() == "before\n"
    assert (mount / "af ter").exists()
    recorded = engine.show(repo, result.image).preferences
    assert (recorded["mode"], recorded["on-no-snapshot"]) == ("auto", "static")
    assert recorded["postsnapshotcmd"] == f"touch '{mount}/af ter'"


def test_the_request_is_above_the_section(engine, repo, mount, options):
    options.write_text(f'[volume."{mount}"]\non-no-snapshot = "static"\npresnapshotcmd = "false"\n')

    with pytest.raises(CommandFailed):
        engine.backup(repo, BackupRequest(str(mount)), Conversation())
    with pytest.raises(VolumeBusy):
        engine.backup(repo, BackupRequest(str(mount), on_no_snapshot=OnNoSnapshot.FAIL, pre_command=""), Conversation())
    held = BackupRequest(str(mount), on_no_snapshot=OnNoSnapshot.FREEZE, pre_command="")
    assert engine.backup(repo, held, Conversation()).mode == "freeze"


def test_another_volume_is_not_held_by_that_section(engine, repo, mount, options, tmp_path):
    options.write_text(f'[volume."{tmp_path}/elsewhere"]\non-no-snapshot = "dynamic"\n')

    with pytest.raises(VolumeBusy):
        engine.backup(repo, BackupRequest(str(mount)), Conversation())
