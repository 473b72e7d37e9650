"""A whole day against each real server: every command; and two processes that write at once, where it lets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill import Engine, PruneRequest, Retention
from holdstill.model.requests import BackupRequest, RestoreRequest, VerifyRequest
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, digest, digest_of_used

HOLDSTILL = Path(sys.executable).with_name("holdstill")


@pytest.fixture(params=["moto", "rclone", "sftp"])
def url(request, tmp_path):
    if request.param == "sftp":
        return request.getfixturevalue("ssh_server").url(tmp_path / "repository")
    return request.getfixturevalue(f"{request.param}_server").bucket().replace("?", "/folder?")


@pytest.fixture
def engine(tmp_path):
    return Engine(state=str(tmp_path / "state"))


def made(place, name):
    content = place / f"content-{name}"
    content.mkdir()
    volumes.ageing(content, dice(name), files=20)
    return volumes.ext4(place / name, 12 * MIB, content=content)


def due(engine, volume):
    with engine.map(os.fspath(volume)) as surveyed:
        used = [(offset, length) for window in surveyed.windows() for offset, length in window]
    return digest_of_used(volume, used, volume.stat().st_size)


def test_a_day(url, engine, tmp_path, request):
    volume, talk = made(tmp_path, "volume"), Agreeing()
    facts = engine.init(url)
    one_writer = "rclone" in request.node.name
    assert facts.single_writer is one_writer
    assert facts.durability == "power"
    first, due_first = engine.backup(url, BackupRequest(str(volume)), talk), due(engine, volume)
    fresh = volumes.noise(tmp_path / "fresh", MIB, dice("fresh"))
    volumes.run("debugfs", "-w", "-R", f"write {fresh} fresh", volume)
    second = engine.backup(url, BackupRequest(str(volume)), talk)
    assert second.reused_chunks

    if one_writer:
        third = engine.backup(url, BackupRequest(str(made(tmp_path, "other"))), talk).image
    else:
        third = side_by_side(url, [made(tmp_path, name) for name in ("other", "another")], tmp_path)

    for image, expected in ((first.image, due_first), (second.image, due(engine, volume))):
        target = tmp_path / f"restored-{image}"
        assert engine.restore(url, RestoreRequest(image, to_file=str(target)), talk).proved
        assert digest(target) == expected
    assert engine.verify(url, VerifyRequest(read_data=True), talk).findings == ()

    pruned = engine.prune(url, PruneRequest(retention=Retention(last=1)), talk)
    assert [fate.image for fate in pruned.images if not fate.kept] == [first.image]
    left = {image.id for image in engine.images(url)}
    assert {second.image, third} <= left
    assert first.image not in left
    assert engine.verify(url, VerifyRequest(read_data=True), talk).findings == ()


def side_by_side(url, chosen, place):
    """An image of each, made by processes that run together; the last one's id."""
    running = [
        subprocess.Popen(
            [HOLDSTILL, "backup", "--repo", url, "--yes", volume],
            env={**os.environ, "HOLDSTILL_STATE": str(place / f"state-{volume.name}")},
        )
        for volume in chosen
    ]
    assert [process.wait() for process in running] == [0, 0]
    images = [
        image for image in Engine(state=str(place / "looking")).images(url) if image.volume.path == str(chosen[-1])
    ]
    return images[0].id
