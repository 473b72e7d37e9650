"""What killed runs left held is let go, in the reverse of the order in which it was acquired."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import attrs

from holdstill.errors import HoldstillError
from holdstill.held.journal import Held, Journal
from holdstill.model.events import Noted
from holdstill.pipeline.numbers import NUMBER, void
from holdstill.plugins.registry import Plugins
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import Undone, UndoState


@attrs.frozen
class Recovered:
    """One thing that was left held, and what became of it."""

    run: str
    kind: str
    what: str
    state: UndoState
    detail: str
    by_hand: str


def recover(
    journals: Path,
    plugins: Plugins,
    open_repository: Callable[[str], AbstractContextManager[Repository]],
    talk: Conversation,
) -> list[Recovered]:
    """Undo every open line of every dead run. What cannot be undone stays in its journal, and is told."""
    recovered = []
    for journal in Journal.orphans(journals):
        with journal:
            for held in journal.held:
                undone = _undo(held, plugins, open_repository)
                if undone.state in (UndoState.REMOVED, UndoState.ABSENT):
                    journal.drop(held.entry)
                talk.tell(Noted(f"{held.kind}: {undone.state.value} {undone.detail}".rstrip(), held.run))
                what = ", ".join(f"{name} {value}" for name, value in sorted(held.data.items()))
                recovered.append(Recovered(held.run, held.kind, what, undone.state, undone.detail, held.by_hand))
    return recovered


def _undo(held: Held, plugins: Plugins, open_repository: Callable[[str], AbstractContextManager[Repository]]) -> Undone:
    try:
        if held.kind == NUMBER:
            with open_repository(held.data["url"]) as repository:
                void(repository, held)
            return Undone(UndoState.REMOVED)
        return plugins.undo(held.kind, held.version, held.data)
    except HoldstillError as error:
        return Undone(UndoState.UNKNOWN, str(error))
