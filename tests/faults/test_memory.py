"""Backup, restore, verify and map stay under 300 MiB each, interpreter included: with much data, with much nothing."""

from __future__ import annotations

import errno
import os

import pytest

from holdstill import Engine
from holdstill_testing import volumes
from holdstill_testing.processes import back_up, peak_of, restore, survey, verify
from holdstill_testing.torture import dice, full
from holdstill_testing.volumes import MIB, digest, is_clean

LIMIT = 300 * MIB
TIB = 1 << 40

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@pytest.fixture
def repository(tmp_path):
    Engine(state=str(tmp_path / "state")).init(str(tmp_path / "repository"))
    return str(tmp_path / "repository")


def peaks(repository, volume, tmp_path):
    """The four jobs, each in a process of its own; the volume is then restored in ``restored``."""
    state, restored = str(tmp_path / "state"), str(tmp_path / "restored")
    return {
        "map": peak_of(survey, str(volume), state),
        "backup": peak_of(back_up, repository, str(volume), state),
        "verify": peak_of(verify, repository, state),
        "restore": peak_of(restore, repository, "latest", restored, state),
    }


def assert_flat(found):
    assert max(found.values()) < LIMIT, {job: f"{peak >> 20} MiB" for job, peak in found.items()}


def test_a_volume_full_of_data(repository, tmp_path, record_property):
    size = (2 << 30) if full() else (256 << 20)
    volume = volumes.noise(tmp_path / "volume", size, dice("memory"))
    found = peaks(repository, volume, tmp_path)
    assert digest(tmp_path / "restored") == digest(volume)
    record_property("peak", max(found.values()))
    assert_flat(found)


def test_a_host_of_64_cores(repository, tmp_path, record_property):
    """What cannot be compressed fills every buffer there is, on the way in and on the way out."""
    volume, state = volumes.noise(tmp_path / "volume", 1 << 30, dice("many cores")), str(tmp_path / "state")
    found = {
        "backup": peak_of(back_up, repository, str(volume), state, "auto", 64),
        "restore": peak_of(restore, repository, "latest", str(tmp_path / "restored"), state, 64),
    }
    assert digest(tmp_path / "restored") == digest(volume)
    record_property("peak", max(found.values()))
    assert_flat(found)


def huge_ext4(path, size, files):
    try:
        volumes.ext4(path, size, "-E", "lazy_itable_init=1,lazy_journal_init=1", content=files)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        pytest.skip(f"files of {size} bytes are too large for the file system of {path.parent}")
    return path


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    volumes.ageing(folder, dice("huge"), files=60)
    return folder


def test_a_huge_volume_full_of_nothing(repository, tmp_path, files, record_property):
    """16 TiB, less one block: the largest file that an ext4 holds. An eighth of it outside of a torture run."""
    size = (16 if full() else 2) * TIB - 4096
    volume = huge_ext4(tmp_path / "volume", size, files)
    found = peaks(repository, volume, tmp_path)
    restored = tmp_path / "restored"
    assert restored.stat().st_size == size
    assert volumes.allocated(restored) <= volumes.allocated(volume) + 64 * MIB
    volumes.run("debugfs", "-R", f"rdump / {_made(tmp_path / 'dumped')}", restored)
    assert _contents(tmp_path / "dumped") == _contents(files)
    if full():
        assert is_clean(restored)
    record_property("peak", max(found.values()))
    assert_flat(found)


def test_the_map_of_16_tib(tmp_path, files):
    volume = huge_ext4(tmp_path / "volume", 16 * TIB - 4096, files)
    assert peak_of(survey, str(volume), str(tmp_path / "state")) < LIMIT


def _made(folder):
    folder.mkdir()
    return folder


def _contents(folder):
    return {
        os.path.relpath(path, folder): digest(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
