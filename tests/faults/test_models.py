"""The protocol of writers and prunes, and that of marks, checked by spin: every order of steps, at small bounds.

Each shortcut is planted too, and must be found.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from holdstill_testing.torture import full

MODELS = Path(__file__).parents[1] / "models"

pytestmark = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")), reason="spin and gcc are not installed"
)

BOUNDS = {
    "one writer, two prunes": "-DWRITERS=1 -DPRUNERS=2 -DNO_FORGETTING",
    "one writer that begins again, a prune that repacks": "-DWRITERS=1 -DBEGINNINGS=2 -DPRUNERS=1 -DREPACK",
    "two writers, one prune, nothing forgotten": "-DWRITERS=2 -DPRUNERS=1 -DNO_FORGETTING",
    "one writer, one prune, a roll": "-DWRITERS=1 -DPRUNERS=1 -DROLL=2",
}
LARGER = {
    "one writer, two prunes, all forgotten": "-DWRITERS=1 -DPRUNERS=2",
    "two writers, a prune that repacks": "-DWRITERS=2 -DPRUNERS=1 -DREPACK",
    "one writer, two prunes, a roll": "-DWRITERS=1 -DPRUNERS=2 -DROLL=2 -DNO_FORGETTING",
    "two writers, one prune, a roll": "-DWRITERS=2 -DPRUNERS=1 -DROLL=3 -DNO_FORGETTING",
}
SHORTCUTS = {
    "NO_RECHECK": 2,
    "EARLY_FRONTIER": 1,
    "CLOCK": 1,
    "LATE_CHECK": 1,
    "LIST_IMAGES": 1,
    "COUNT_CLOSED": 2,
    "VIEW_EARLY": 2,
    "PARDON": 2,
    "NAME": 2,
    "FORGET_DELETES": 2,
    "VOID_CLEANED": 1,
    "ROLL_EARLY -DROLL=2": 1,
    "ROLL_IS_END -DROLL=1": 1,
    "ROLL_DROPS -DROLL=2": 1,
}


def errors(model, flags, folder):
    """How many orders of steps were found that break what must hold; the search was complete if there are none."""
    subprocess.run(["spin", "-a", *flags.split(), MODELS / model], cwd=folder, check=True, capture_output=True)
    options = ["-O2", "-w", "-DSAFETY", "-DVECTORSZ=2048", "-DMEMLIM=3000"]
    subprocess.run(["gcc", *options, "-o", "pan", "pan.c"], cwd=folder, check=True, capture_output=True)
    said = subprocess.run(["./pan", "-m100000", "-E"], cwd=folder, check=False, capture_output=True, text=True).stdout
    found = int(re.search(r"errors: (\d+)", said)[1])
    if not found:
        assert "Search not completed" not in said
        assert "max search depth too small" not in said
        assert int(re.search(r"(\d+) states, stored", said)[1]) > 1000
    return found


@pytest.mark.parametrize("bounds", {**BOUNDS, **(LARGER if full() else {})})
@pytest.mark.timeout(1200)
def test_no_order_of_steps_loses_an_image(bounds, tmp_path):
    assert errors("prune.pml", {**BOUNDS, **LARGER}[bounds], tmp_path) == 0


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_every_shortcut_is_found(shortcut, tmp_path):
    assert errors("prune.pml", f"-DWRITERS=1 -DPRUNERS={SHORTCUTS[shortcut]} -D{shortcut}", tmp_path) == 1


def test_no_image_is_protected_and_deleted(tmp_path):
    assert errors("marks.pml", "", tmp_path) == 0


def test_looking_before_deleting_is_found(tmp_path):
    assert errors("marks.pml", "-DLOOK_THEN_DELETE", tmp_path) == 1
