"""The machine itself: a kernel of its own, with what the tests here need of it."""

import subprocess

import pytest


@pytest.mark.parametrize("target", ["snapshot", "thin-pool", "flakey", "error"])
def test_device_mapper_is_there(target):
    said = subprocess.run(["dmsetup", "targets"], capture_output=True, text=True, check=True).stdout
    assert target in [line.split()[0] for line in said.splitlines()]


@pytest.mark.udevd
def test_udevd_is_there():
    subprocess.run(["udevadm", "settle", "--timeout=30"], check=True)
