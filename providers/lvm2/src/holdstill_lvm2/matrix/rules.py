"""The question, put to the table."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill.errors import UsageError
from holdstill.model.compatibility import CompatQuestion, CompatTable, Operation, Verdict
from holdstill.model.volume import Mode
from holdstill.spi.compatibility import Compatibility
from holdstill_lvm2.matrix.cells import CELLS, CLIENTS, COLUMNS, MANAGERS, Cell


class Matrix(Compatibility):
    """The rules on LVM1 and LVM2. Volumes of any other kind are outside them."""

    def answer(self, question: CompatQuestion) -> Verdict:
        """See ``Compatibility``. What stands in the way is the reason of a refusal."""
        _ensure_named(question)
        cell: Cell | None = None
        for cell in _cells(question):
            if not _allows(cell, question):
                return Verdict(False, cell.because)
        assert cell is not None
        return Verdict(True, cell.because)

    def table(self) -> CompatTable:
        """The table, cell by cell, in its own words."""
        rows = tuple((said, *(CELLS[client, *pair].told for pair in COLUMNS)) for client, said in CLIENTS.items())
        return CompatTable(("Client", *COLUMNS.values()), rows)


def _ensure_named(question: CompatQuestion) -> None:
    if question.client not in CLIENTS:
        raise UsageError(f"the rules name no client {question.client!r}", next_step=f"one of {', '.join(CLIENTS)}")
    for manager in filter(None, (question.source, question.target)):
        if manager not in MANAGERS:
            raise UsageError(f"the rules name no volume manager {manager!r}", next_step=f"one of {', '.join(MANAGERS)}")
    if question.operation is Operation.RESTORE and question.target is None:
        raise UsageError("a restore goes to a volume", next_step="say whose it is")


def _cells(question: CompatQuestion) -> Iterator[Cell]:
    """A backup reads a volume of the source's kind, so it needs the cell in which nothing is mixed, wherever the image
    is to go; a restore touches nothing but the target.
    """
    client, source = question.client, question.source
    if question.operation is Operation.BACKUP:
        yield CELLS[client, source, source]
    if question.target is not None:
        yield CELLS[client, source, question.target]


def _allows(cell: Cell, question: CompatQuestion) -> bool:
    ways = cell.raw if question.raw else cell.filesystem
    mode = _as_told(question.mode)
    return bool(ways) if mode is None else mode in ways


def _as_told(mode: Mode | None) -> Mode | None:
    """The table knows three ways; whatever else keeps a volume from changing while it is read is static to it."""
    if mode is Mode.AUTO:
        return None
    return Mode.STATIC if mode in (Mode.FREEZE, Mode.OFFLINE) else mode
