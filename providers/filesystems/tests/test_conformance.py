"""The published suite for readers of block maps, on a small ext4."""

from __future__ import annotations

import pytest

from holdstill.model.volume import FilesystemFacts
from holdstill_filesystems import plugin
from holdstill_testing.suites.blockmap import BlockMapSuite


class TestExt4(BlockMapSuite):
    @pytest.fixture
    def small(self, of_kind):
        return of_kind("ext2-inode-128")

    @pytest.fixture
    def enumerate_used_blocks(self):
        return plugin.enumerate_used_blocks

    @pytest.fixture
    def facts(self):
        return FilesystemFacts("ext2", block_size=1024)

    @pytest.fixture
    def image(self, small):
        return small.path.read_bytes()

    @pytest.fixture
    def truth(self, small):
        return small.truth()
