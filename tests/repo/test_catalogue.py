"""What the catalogue says of our distributions is what they say of themselves."""

import pytest

from holdstill.plugins.catalogue import CATALOGUE
from holdstill.plugins.registry import Plugins


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.distribution)
def test_the_catalogue_is_true(entry):
    row = next(row for row in Plugins.installed().rows() if row.distribution == entry.distribution)
    assert row.broken is None
    assert row.name == entry.plugin
    assert set(entry.schemes) == set(row.info.schemes)
    assert set(entry.filesystems) == set(row.info.filesystems)
    if entry.platforms:
        assert "identify" in row.hooks
