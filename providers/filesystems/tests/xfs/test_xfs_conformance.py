"""The published suite for readers of block maps, on XFS."""

from __future__ import annotations

import pytest

from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.suites.blockmap import BlockMapSuite


@pytest.mark.root
class TestXfs(BlockMapSuite):
    @pytest.fixture
    def small(self, made_xfs):
        return made_xfs("suite")

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
