"""The way to a repository: its target, its password, and what this host remembers of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from holdstill.errors import Declined, HoldstillError, ObjectMissing, PasswordMissing, RolledBack, UsageError
from holdstill.held.repositories import Seen, SeenRepositories
from holdstill.held.state import StateFolder
from holdstill.model.events import Question
from holdstill.model.results import KeyFacts, RepositoryFacts
from holdstill.plugins.registry import Plugins
from holdstill.repository import layout
from holdstill.repository.keyring import Unlocked
from holdstill.repository.keys import Cost, Keys
from holdstill.repository.opening import create, open_repository
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill.spi.passwords import Passwords


@attrs.define
class Access:
    """Opens repositories. A password is asked for once each; the keys stay in this object's memory."""

    plugins: Plugins
    state: StateFolder
    passwords: Callable[[], Passwords | None]
    """Where they come from, if a frontend has said so."""
    cost: Cost = attrs.field(factory=Cost)
    """Of trying a password of a key that is made here."""
    _unlocked: dict[str, Unlocked] = attrs.field(factory=dict, repr=False)

    def create(
        self,
        url: str,
        *,
        chunk_size: int | None,
        digest: str | None,
        password: bytes | None,
        label: str,
        lock_for: dt.timedelta | None,
    ) -> RepositoryFacts:
        """See ``Engine.init``."""
        with self.plugins.storage_target(url) as target:
            config = create(
                target,
                chunk_size=chunk_size,
                digest=digest,
                password=password,
                label=label,
                cost=self.cost,
                lock_for=lock_for,
            ).config
            SeenRepositories(self.state).forget(target.url)
            return RepositoryFacts(
                target.url,
                config.repository_id,
                config.chunk_size,
                config.digest,
                config.single_writer,
                target.properties.durability.value,
                config.is_sealed,
                config.lock_for,
            )

    @contextmanager
    def opened(self, url: str) -> Iterator[Repository]:
        """The repository at ``url``. Raises as ``open_repository`` does; ``RolledBack`` if it is not what it was;
        ``UsageError`` if a password was given for one that is not sealed.
        """
        with self._found(url) as repository:
            self._compare(repository)
            try:
                yield repository
            finally:
                self._remember(repository)

    def accept(self, url: str, talk: Conversation) -> str:
        """Forget what this host has seen and kept of it, and remember what it is like. Returns what differs; nobody is
        asked if nothing does. Raises ``Declined``, ``Damaged``, and as ``opened`` does, but for ``RolledBack``.
        """
        with self._found(url) as repository:
            place, difference = repository.target.url, self._difference(repository)
            question = Question("repository.accept", f"{place}: {difference}. Accept it as it is?")
            if difference and talk.ask(question) != "yes":
                raise Declined("not confirmed; it stays refused", subject=place)
            repository.forget_kept()
            repository.ledger().read()
            SeenRepositories(self.state).forget(place)
            self._remember(repository)
            return difference

    @contextmanager
    def _found(self, url: str) -> Iterator[Repository]:
        with self.plugins.storage_target(url) as target, ExitStack() as ended:
            unlocked = self._unlocked.get(target.url)
            repository = open_repository(target, lambda: self._ask(url), unlocked, self._place())
            ended.callback(repository.close)
            given = self.passwords()
            if repository.unlocked is None and given is not None and given.is_given(url):
                raise UsageError(
                    "a password was given, and it is not sealed",
                    subject=target.url,
                    next_step="Nothing was read or stored. If that is the right repository, give no password.",
                )
            if repository.unlocked is not None:
                self._unlocked[target.url] = repository.unlocked
            yield repository

    def _place(self) -> Path | None:
        """Without a state folder that can be written to, everything is read from the repository, and kept in memory."""
        with contextlib.suppress(HoldstillError):
            return self.state.repositories
        return None

    def forget(self, url: str) -> None:
        """Ask for the password of this target's repository anew."""
        self._unlocked.pop(url, None)

    def _ask(self, url: str) -> bytes:
        if (given := self.passwords()) is None:
            raise PasswordMissing("it is sealed, and no password was given", subject=url)
        return given.password(url)

    # --- what was seen before -------------------------------------------------------------------

    def _compare(self, repository: Repository) -> None:
        if problem := self._difference(repository):
            raise RolledBack(
                problem,
                subject=repository.target.url,
                next_step="Find out who did that. If it was meant to be, run `holdstill accept`; copies that go on side"
                " by side need a URL each.",
            )

    def _difference(self, repository: Repository) -> str:
        """What keeps it from being what this host has seen at its URL; empty if nothing does."""
        seen = SeenRepositories(self.state).at(repository.target.url)
        if seen is None:
            return ""
        if seen.repository_id != repository.config.repository_id:
            return "another repository stands where this host knew one"
        if seen.digest != _digest_of(repository, seen.entry):
            return (
                f"it was set back, or is a copy that went another way: entry {seen.entry} of its ledger is not the one"
                " that this host has seen"
            )
        return ""

    def _remember(self, repository: Repository) -> None:
        memory, url, reached = SeenRepositories(self.state), repository.target.url, repository.reached
        seen = memory.at(url)
        if reached and (seen is None or seen.entry < reached):
            # It is a memory, no more: what was asked for is done, and must not fail for it.
            with contextlib.suppress(HoldstillError):
                if digest := _digest_of(repository, reached):
                    memory.put(url, Seen(repository.config.repository_id, reached, digest))


def _digest_of(repository: Repository, entry: int) -> str:
    try:
        return hashlib.sha256(repository.target.get(layout.ledger_key(entry))).hexdigest()
    except ObjectMissing:
        return ""


@attrs.frozen
class KeyChain:
    """The keys of sealed repositories: ``Engine.keys``. A repository that is not sealed has none (``UsageError``)."""

    _access: Access

    def facts(self, url: str) -> list[KeyFacts]:
        """Every key, the oldest first."""
        with self._opened(url) as (repository, keys, unlocked):
            return [attrs.evolve(each, current=each.id == unlocked.key) for each in keys.all(repository.sealing)]

    def add(self, url: str, password: bytes, label: str = "", *, write_only: bool = False) -> str:
        """One more password; its key's id. With ``write_only`` who knows it can back up, and read nothing."""
        with self._opened(url) as (repository, keys, unlocked):
            repository.must_read()
            ring = unlocked.ring.for_a_writer() if write_only else unlocked.ring
            return keys.add(ring, password, label, repository.sealing, self._access.cost)

    def remove(self, url: str, prefix: str) -> KeyFacts:
        """A password less. Raises ``KeyMissing``, and ``LastKey`` for the one in use and the last that may read."""
        with self._opened(url) as (repository, keys, unlocked):
            repository.must_read()
            return keys.remove(prefix, unlocked.key, repository.sealing)

    def change(self, url: str, password: bytes) -> str:
        """Another password in the place of the one in use; the new key's id. No data is rewritten."""
        with self._opened(url) as (repository, keys, unlocked):
            new = keys.change(unlocked, password, repository.sealing, self._access.cost)
            self._access.forget(repository.target.url)
            return new

    @contextmanager
    def _opened(self, url: str) -> Iterator[tuple[Repository, Keys, Unlocked]]:
        with self._access.opened(url) as repository:
            if repository.unlocked is None:
                raise UsageError("it is not sealed, so it has no keys", subject=repository.target.url)
            yield repository, Keys(repository.target, repository.config), repository.unlocked
