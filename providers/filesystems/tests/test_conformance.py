"""The published suite for readers of block maps, on ext2 and ext4."""

from __future__ import annotations

import pytest

from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite


class TestExt(BlockMapSuite):
    @pytest.fixture(params=["ext2-inode-128", "ext4-1k"])
    def small(self, request, of_kind):
        return of_kind(request.param)

    @pytest.fixture
    def enumerate_used_blocks(self):
        return plugin.enumerate_used_blocks

    @pytest.fixture
    def facts(self, small):
        with FileReader(small.path) as reader:
            return plugin.recognise(reader)

    @pytest.fixture
    def image(self, small):
        return small.path.read_bytes()

    @pytest.fixture
    def truth(self, small):
        return small.truth()
