"""A writer's number is something held: until its commit key exists, prunes wait for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdstill.held.journal import Held, Journal
from holdstill.held.state import StateFolder
from holdstill.repository.repository import Repository
from holdstill.repository.session import WriterSession

#: the journal's kind for a number in a repository's ledger; the core undoes it itself
NUMBER: Final = "repository.number"


@contextlib.contextmanager
def journalled(journal: Journal, repository: Repository, session: WriterSession) -> Iterator[None]:
    """Write the session's number down; cross it out when it is settled: committed, or void."""
    line = journal.hold(
        NUMBER,
        {"url": repository.target.url, "commit_key": session.commit_key},
        by_hand="run `holdstill recover`: it only tells the repository that this backup will not end",
    )
    try:
        yield
    except BaseException as error:
        if session.abandon(f"{type(error).__name__}: {error}"[:1000]):
            line.drop()  # else it is still undecided, as far as we know: left to the next run
        raise
    line.drop()


@contextlib.contextmanager
def in_own_journal(state: StateFolder, repository: Repository, session: WriterSession) -> Iterator[None]:
    """The same, in a journal that is begun only now: of a job that hardly ever writes."""
    with Journal.begin(state.journals) as journal, journalled(journal, repository, session):
        yield


def void_own_past(repository: Repository, journals: Path) -> None:
    """Settle the numbers in this repository that dead runs of this host left: nobody has to wait for them."""
    for journal in Journal.orphans(journals):
        with journal:
            for held in journal.held:
                if held.kind == NUMBER and held.data["url"] == repository.target.url:
                    void(repository, held)
                    journal.drop(held.entry)


def void(repository: Repository, held: Held) -> None:
    """Say that this number will never commit; if it had committed, the image stands."""
    repository.void(held.data["commit_key"], "its run was killed")
