"""The metadata snapshot of a pool that a killed run reserved, on answers that real tools gave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdstill.spi.holds import UndoState
from holdstill.spi.runner import Ran, Runner
from holdstill_lvm2.lvm import Lvm
from holdstill_lvm2.snapshots import delta


class PoolTools(Runner):
    """A pool whose metadata snapshot is ``root``; keeps what is told to change it."""

    def __init__(self, root):
        self.root = root
        self.told = []

    def ask(self, argv, *, limit):
        return self.change(argv)

    def change(self, argv):
        if "message" in argv:
            self.told.append(argv[-1])
            self.root = "-"
        said = {"status": self.row(), "info": "vg-pool-tpool"}.get(argv[1], "")
        return Ran(tuple(argv), 0, said, "")

    def row(self):
        return f"0 8192 thin-pool 2 117/1024 391/3200 {self.root} rw discard_passdown queue_if_no_space - 256\n"


@pytest.fixture
def line(tmp_path):
    """What the journal says of it, and the paper in its folder."""
    (tmp_path / "holdstill-x").mkdir()
    return {"pool": "LVM-x-tpool", "paper": str(tmp_path / "holdstill-x" / "status")}


def test_what_was_written_down_is_released(line, tmp_path):
    tools = PoolTools("68")
    Path(line["paper"]).write_text(tools.row())

    undone = delta.undo(Lvm(tools), line)

    assert (undone.state, tools.told) == (UndoState.REMOVED, ["release_metadata_snap"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", [None, "", "0 8192 thin-pool Fail", "0 8192 thin-pool x y z"])
def test_what_nobody_wrote_down_is_left_and_told(line, said):
    tools = PoolTools("68")
    if said is not None:
        Path(line["paper"]).write_text(said)

    undone = delta.undo(Lvm(tools), line)

    assert (undone.state, tools.told) == (UndoState.REFUSED, [])
    assert "metadata snapshot 68" in undone.detail
    assert "may be released by hand" in undone.detail


def test_another_one_than_was_written_down_is_left(line):
    tools = PoolTools("68")
    Path(line["paper"]).write_text(PoolTools("70").row())

    undone = delta.undo(Lvm(tools), line)

    assert (undone.state, tools.told) == (UndoState.REFUSED, [])
    assert "that was 70" in undone.detail


def test_a_paper_that_somebody_else_can_have_written_proves_nothing(line, monkeypatch):
    tools = PoolTools("68")
    Path(line["paper"]).write_text(tools.row())
    monkeypatch.setattr(delta.os, "geteuid", lambda: os.getuid() + 1)

    assert delta.undo(Lvm(tools), line).state is UndoState.REFUSED
