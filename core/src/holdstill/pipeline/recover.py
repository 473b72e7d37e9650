"""What killed runs left held is let go, in the reverse of the order in which it was acquired."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

import attrs

from holdstill.errors import HoldstillError
from holdstill.held.journal import Held, Journal
from holdstill.held.runner import ProcessRunner, survivors
from holdstill.held.state import StateFolder
from holdstill.model.events import Noted, Warned
from holdstill.pipeline.away import is_held_away, undo_there
from holdstill.pipeline.commands import OWED, settle
from holdstill.pipeline.deaf import Deaf
from holdstill.pipeline.finding import find
from holdstill.pipeline.numbers import NUMBER, void
from holdstill.pipeline.unmounting import is_unproved
from holdstill.plugins.registry import Plugins
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import Undone, UndoState

#: what a killed run started is given this long to end by itself, seconds
_PATIENCE: Final = 15.0

OpenRepository = Callable[[str], AbstractContextManager[Repository]]


@attrs.frozen
class Recovered:
    """One thing that was left held, and what became of it."""

    run: str
    kind: str
    what: str
    state: UndoState
    detail: str
    by_hand: str

    @property
    def gone(self) -> bool:
        """Is it no longer held?"""
        return self.state in (UndoState.REMOVED, UndoState.ABSENT)


def recover(
    state: StateFolder, plugins: Plugins, open_repository: OpenRepository, talk: Conversation
) -> list[Recovered]:
    """Undo every open line of every dead run. What cannot be undone stays in its journal, and is told."""
    return _each(state, plugins, open_repository, talk, lambda _: True)


def heal(state: StateFolder, plugins: Plugins, talk: Conversation) -> None:
    """Before a run holds anything: give back what dead runs of this host left held of its volumes."""

    def nowhere(url: str) -> AbstractContextManager[Repository]:
        raise LookupError(url)

    for each in _each(state, plugins, nowhere, talk, lambda held: held.kind != NUMBER):
        if each.gone:
            text = f"a killed run had left this held, now undone: {each.kind} {each.what}: {each.detail}".rstrip(": ")
            talk.tell(Warned("recover.done", text))
        else:
            text = f"a killed run left this held: {each.kind} {each.what}: {each.detail}; by hand: {each.by_hand}"
            talk.tell(Warned("recover.left", text))


def _each(
    state: StateFolder,
    plugins: Plugins,
    open_repository: OpenRepository,
    talk: Conversation,
    wanted: Callable[[Held], bool],
) -> list[Recovered]:
    recovered = []
    for journal in Journal.orphans(state.journals):
        with journal:
            todo = [held for held in journal.held if wanted(held)]
            working = survivors(journal.run, _PATIENCE) if todo else []
            for held in todo:
                if working:
                    undone = Undone(UndoState.BUSY, f"process {working[0]} of that run is still at work")
                else:
                    undone = _undo(held, state, plugins, open_repository, talk)
                if undone.state in (UndoState.REMOVED, UndoState.ABSENT):
                    journal.drop(held.entry)
                talk.tell(Noted(f"{held.kind}: {undone.state.value} {undone.detail}".rstrip(), held.run))
                recovered.append(Recovered(held.run, held.kind, _what(held), undone.state, undone.detail, held.by_hand))
    return recovered


def _what(held: Held) -> str:
    return held.data.get("what") or ", ".join(f"{name} {value}" for name, value in sorted(held.data.items()))


def _undo(
    held: Held, state: StateFolder, plugins: Plugins, open_repository: OpenRepository, talk: Conversation
) -> Undone:
    try:
        if held.kind == NUMBER:
            with open_repository(held.data["url"]) as repository:
                void(repository, held)
            return Undone(UndoState.REMOVED)
        if held.kind == OWED:
            return settle(held, ProcessRunner(held.run, state.scratch, Deaf(talk)))
        if is_unproved(held):
            return Undone(UndoState.ABSENT, "left unmounted: a restore onto it was killed; restore it again (--resume)")
        local = ProcessRunner(held.run, state.scratch, Deaf(talk))
        if is_held_away(held):
            return undo_there(held, plugins, local)
        return plugins.undo(held.kind, held.version, held.data, local, partial(find, plugins))
    except (HoldstillError, OSError) as error:  # nothing that fails keeps the others from being undone
        return Undone(UndoState.UNKNOWN, str(error))
