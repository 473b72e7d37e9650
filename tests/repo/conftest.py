"""The workspace as it lies on the disk."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: what tools leave behind
LEFT_BEHIND = {"__pycache__", "build", "dist", "node_modules"}


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def files():
    """Every file of the project: nothing hidden, nothing that a tool left behind."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in LEFT_BEHIND]
        found += [Path(folder, name) for name in names if name != ".git"]  # a file, in a second work tree
    assert len(found) > 100
    return found


@pytest.fixture(scope="session")
def product(files):
    """The Python files that are installed."""
    return [path for path in files if path.suffix == ".py" and "src" in path.relative_to(ROOT).parts]
