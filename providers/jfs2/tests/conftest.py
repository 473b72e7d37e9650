"""Worlds with a JFS2 on a simulated AIX, whose kernel answers the provider."""

from __future__ import annotations

import pytest

from holdstill.spi import given_back
from holdstill_jfs2.moved import kernel
from holdstill_testing.unix.jfs2_world import World


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(given_back, "_PAUSES", (0.0,))


@pytest.fixture
def made(monkeypatch):
    """Makes a world, and puts its kernel in the place of the real one: ``made(block=..., blocks=...)``."""

    def make(*given, **named):
        world = World(*given, **named)
        for name in ("vfs_of", "inode_of", "device_of", "extentinfo"):
            monkeypatch.setattr(kernel, name, getattr(world, name))
        return world

    return make


@pytest.fixture
def world(made):
    return made()
