"""What frontends hold in their hand. Each call opens what it needs and closes it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from holdstill import __version__
from holdstill.access import Access, KeyChain
from holdstill.errors import Declined, HoldstillError, UsageError, VolumeError, VolumeExcluded
from holdstill.held.journal import Journal
from holdstill.held.state import StateFolder
from holdstill.model.events import Noted, Question, Warned
from holdstill.model.named import NamedRequest, named_requests
from holdstill.model.requests import BackupRequest
from holdstill.model.results import (
    BackupResult,
    CopyResult,
    Domain,
    Freshness,
    PruneResult,
    RepositoryFacts,
    RestoreResult,
    Verified,
    VerifyResult,
)
from holdstill.model.volume import Mode, VolumeFacts
from holdstill.pipeline.away import asking
from holdstill.pipeline.checking import checked
from holdstill.pipeline.finding import absolute_of, find
from holdstill.pipeline.numbers import in_own_journal, journalled, void_own_past
from holdstill.pipeline.recover import Recovered, heal, recover
from holdstill.pipeline.survey import SurveyedMap, mapped
from holdstill.pipeline.workers import cores
from holdstill.plugins.registry import PluginRow, Plugins
from holdstill.preferences.files import Places
from holdstill.preferences.joining import backup_order, given_with, settled
from holdstill.preferences.schema import Preference, schema
from holdstill.preferences.sources import Effective, Names, Sources, understood
from holdstill.preferences.vain import lacking, tell_vain
from holdstill.repository.checks import Checks
from holdstill.spi.checks import HostReport
from holdstill.spi.conversation import Conversation
from holdstill.spi.passwords import Passwords

if TYPE_CHECKING:  # the call that needs it imports it: nobody who backs up waits for what verifies or prunes
    from holdstill.model.compatibility import CompatQuestion, CompatTable, Verdict
    from holdstill.model.image import Image
    from holdstill.model.requests import CopyRequest, ImportRequest, PruneRequest, RestoreRequest, VerifyRequest
    from holdstill.pipeline.backup import Backup
    from holdstill.preferences.converting import Converted
    from holdstill.repository.repository import Repository
    from holdstill.repository.trial import TargetReport


class Engine:
    """Back up, restore, verify, and all the rest. Holds no connection and no lock between calls; calls may run side
    by side.
    """

    def __init__(
        self,
        plugins: Plugins | None = None,
        state: str | None = None,
        workers: int | None = None,
        options: str | None = None,
    ) -> None:
        """With the installed plugins, the user's state folder, every core and the options files of this host and user,
        unless told otherwise; ``options`` names one file to be read in their place.
        """
        self._plugins = plugins or Plugins.installed()
        self._state = StateFolder(Path(state).absolute()) if state else StateFolder.default()
        self._workers = workers or cores()
        self._places = Places.of(Path(options)) if options else None
        self.passwords: Passwords | None = None
        """Where the passwords of sealed repositories come from: for the frontend to say."""
        self._access = Access(self._plugins, self._state, lambda: self.passwords)

    # --- repositories ---------------------------------------------------------------------------

    def init(
        self,
        url: str,
        *,
        chunk_size: int | None = None,
        digest: str | None = None,
        password: bytes | None = None,
        label: str = "",
        lock_for: timedelta | None = None,
    ) -> RepositoryFacts:
        """Make a repository; with a ``password`` a sealed one, whose key is called ``label``; with ``lock_for`` nobody
        can delete for so long what is stored. Raises ``RepositoryExists``, ``UsageError``, ``TargetUnfit``.
        """
        return self._access.create(
            url, chunk_size=chunk_size, digest=digest, password=password, label=label, lock_for=lock_for
        )

    def accept(self, url: str, talk: Conversation) -> str:
        """Take what is at ``url`` for the right one, after ``RolledBack``. Asks ``repository.accept``; what differs."""
        return self._access.accept(url, talk)

    @property
    def keys(self) -> KeyChain:
        """The keys of sealed repositories."""
        return KeyChain(self._access)

    def check_target(self, url: str, talk: Conversation) -> TargetReport:
        """Really try what the target behind ``url`` promises, below the key ``probe``. A bad one is reported."""
        from holdstill.repository.trial import try_target

        with self._plugins.storage_target(url) as target:
            target.prepare()
            return try_target(target, tell=lambda trial: talk.tell(Noted(f"{trial.name}: {trial.outcome}", target.url)))

    # --- images ---------------------------------------------------------------------------------

    def backup(self, url: str, request: BackupRequest, talk: Conversation) -> BackupResult:
        """Take an image of one volume. It exists when this returns, and not before."""
        if not request.dry_run:
            heal(self._state, self._plugins, talk)  # first of all: what is named may be what is not mounted any more
        with self._open(url) as repository:
            return self._backup_of(request, repository, talk).run()

    def backup_together(
        self, url: str, requests: Sequence[BackupRequest], talk: Conversation
    ) -> list[BackupResult | HoldstillError]:
        """Images of several volumes, all held before the first byte of any is read. Each is one instant, the set is
        not: a note of each result says how far apart they may be. Raises what keeps one from being held; then there is
        no image of any. What goes wrong later with one stands in its place in the list.
        """
        from holdstill.pipeline.together import Together

        if not any(request.dry_run for request in requests):
            heal(self._state, self._plugins, talk)
        with self._open(url) as repository:
            return Together([self._backup_of(request, repository, talk) for request in requests]).run()

    def _backup_of(self, request: BackupRequest, repository: Repository, talk: Conversation) -> Backup:
        from holdstill.pipeline.backup import Backup

        effective = self.preferences(request.volume, given_with(request))
        tell_vain(effective.unknown, talk)
        if effective.excluded is not None:
            raise VolumeExcluded(
                f"no image is taken of it, says {effective.excluded.place}",
                subject=request.volume,
                next_step="change the rule, or name other options files with --options",
            )
        order = backup_order(request, effective)
        made_by = f"holdstill {__version__}"
        return Backup(self._plugins, repository, self._state, order, talk, self._workers, made_by)

    def import_image(self, url: str, request: ImportRequest, talk: Conversation) -> BackupResult:
        """Bring a raw image file into the repository, as what another client once made of a volume. Raises
        ``UsageError`` if no such client can have made it.
        """
        from holdstill.pipeline.backup import Backup
        from holdstill.pipeline.importing import Import

        given = BackupRequest(request.file, mode=Mode.OFFLINE, pre_command="", post_command="")
        order = backup_order(given, self.preferences(request.file, given_with(given)))
        imported = Import(request, self._plugins.compatibility())
        made_by = f"holdstill {__version__}, from a file"
        with self._open(url) as repository:
            return Backup(
                self._plugins, repository, self._state, order, talk, self._workers, made_by, imported=imported
            ).run()

    def images(self, url: str, talk: Conversation | None = None) -> list[Image]:
        """Every committed image, the oldest first. A damaged record hides no other: it is told as a warning; without a
        conversation it is raised (``Damaged``).
        """
        with self._open(url) as repository:
            return repository.images(on_damage=None if talk is None else partial(_warn, talk))

    def show(self, url: str, image: str, of_volume: str | None = None) -> Image:
        """One image, by its id, a unique prefix of it, or ``latest``. Raises ``ImageMissing``."""
        with self._open(url) as repository:
            return repository.find(image, of_volume)

    def restore(self, url: str, request: RestoreRequest, talk: Conversation) -> RestoreResult:
        """Put an image back and prove it. Asks ``restore.overwrite`` unless the target is a new file."""
        from holdstill.pipeline.restore import Restore

        effective = self.preferences(request.to_volume, given_with(request))
        tell_vain(effective.unknown, talk)
        with self._open(url) as repository:
            return Restore(
                self._plugins, repository, self._state, settled(request, effective), talk, self._workers
            ).run()

    def copy(self, url: str, request: CopyRequest, talk: Conversation) -> CopyResult:
        """Copy images to another repository. It may be done again, and after it was killed: what is there stays."""
        from holdstill.pipeline.elsewhere import carriers
        from holdstill.pipeline.transfer import Transfer

        with self._open(url) as source, self._open(request.to_url) as target:
            if not request.dry_run:
                void_own_past(target, self._state.journals)
            kept = partial(in_own_journal, self._state, target)
            with carriers(self._plugins, request.executor, source, target) as elsewhere:
                return Transfer(source, target, talk, self._workers, kept, elsewhere).run(request)

    def verify(self, url: str, request: VerifyRequest, talk: Conversation) -> VerifyResult:
        """Check images, all of them if none is named. What is damaged is in the result, which is kept; what is damaged
        is not relied on by later backups, so that one that still has the data heals it.
        """
        from holdstill.pipeline.elsewhere import scrubbers
        from holdstill.repository.reading import Reading
        from holdstill.repository.verify import verify

        with self._open(url) as repository, scrubbers(self._plugins, request.executor, repository) as elsewhere:
            images = [repository.find(name) for name in request.images] if request.images else None
            return verify(
                repository,
                images,
                read_data=request.read_data,
                tell=talk.tell,
                cancelled=talk.cancelled,
                reading=Reading(request.share, request.max_age, request.budget),
                keep=True,
                elsewhere=elsewhere,
                kept=partial(in_own_journal, self._state, repository),
            )

    def verified(self, url: str) -> dict[str, Verified]:
        """What the last verification of each image came to, by its id; those that had none are left out."""
        with self._open(url) as repository:
            return Checks(repository).verified()

    def freshness(
        self, url: str, max_age: timedelta, volumes: Collection[str] = (), talk: Conversation | None = None
    ) -> list[Freshness]:
        """Is there a good image of every volume that is not older? ``volumes`` that are named must have one."""
        from holdstill.repository.freshness import freshness

        with self._open(url) as repository:
            images = repository.images(on_damage=None if talk is None else partial(_warn, talk))
            return freshness(images, volumes, max_age, Checks(repository).hurt(), datetime.now(UTC))

    def delete(self, url: str, image: str, talk: Conversation) -> Image:
        """Forget an image; its space comes back with a prune. Asks ``delete.image``. Raises ``ImageProtected``."""
        with self._open(url) as repository:
            found = repository.find(image)
            text = f"Delete image {found.id[:12]} of {found.volume.path}, taken {found.taken}?"
            facts = {"image": found.id, "volume": found.volume.path, "taken": found.taken, "host": found.host}
            if talk.ask(Question("delete.image", text, facts=facts)) != "yes":
                raise Declined("not confirmed; the image stays", subject=f"image {found.id[:12]}")
            repository.forget(found)
            return found

    def prune(self, url: str, request: PruneRequest, talk: Conversation) -> PruneResult:
        """Forget what a policy drops, give back what no image needs. Asks ``prune.go``. Raises ``ClockDoubtful``."""
        from holdstill.pipeline.elsewhere import carriers
        from holdstill.repository.upkeep import prune

        with self._open(url) as repository, Journal.begin(self._state.journals) as journal:
            if not request.dry_run:
                void_own_past(repository, self._state.journals)
            kept, now = partial(journalled, journal, repository), datetime.now(UTC)
            with carriers(self._plugins, request.executor, repository) as elsewhere:
                return prune(repository, request, talk, now, kept, elsewhere)

    def protect(self, url: str, image: str, of_volume: str | None = None) -> Image:
        """Nothing deletes this image until it is unprotected. Raises ``ImageMissing``."""
        with self._open(url) as repository:
            found = repository.find(image, of_volume)
            repository.marks.protect(found)
            return found

    def protected(self, url: str, image: str, of_volume: str | None = None) -> bool:
        """Is it?"""
        with self._open(url) as repository:
            return repository.marks.protected(repository.find(image, of_volume))

    def unprotect(self, url: str, image: str, of_volume: str | None = None) -> Image:
        """It may be deleted again."""
        with self._open(url) as repository:
            found = repository.find(image, of_volume)
            repository.marks.unprotect(found)
            return found

    # --- this host ------------------------------------------------------------------------------

    def map(self, volume: str) -> AbstractContextManager[SurveyedMap]:
        """Which blocks of a volume are in use. The volume is read as it is, whoever writes to it."""
        return mapped(self._plugins, find(self._plugins, volume), self._state.scratch)

    def volumes(self) -> list[VolumeFacts]:
        """Every volume of this host that could be imaged. Raises ``NoProvider`` without a platform plugin."""
        return self._plugins.list_volumes(asking())

    def providers(self) -> list[PluginRow]:
        """Every plugin, working or broken."""
        return self._plugins.rows()

    def check_host(self, machine: str | None = None) -> HostReport:
        """What the plugins take for so, asked of this host or of a machine (``ssh://host``). Changes nothing."""
        return checked(self._plugins, machine, __version__)

    def recover(self, talk: Conversation) -> list[Recovered]:
        """Let go of what killed runs of this host left held. Harmless to repeat; runs that live are left alone."""
        return recover(self._state, self._plugins, self._open, talk)

    # --- compatibility --------------------------------------------------------------------------

    def compat(self, question: CompatQuestion) -> Verdict:
        """May this client image this kind of volume, or restore such an image there? Raises ``NoProvider`` if no
        installed plugin has the rules, ``UsageError`` for what they do not name.
        """
        return self._plugins.compatibility().answer(question)

    def compat_table(self) -> CompatTable:
        """The rules as a table. Raises ``NoProvider``."""
        return self._plugins.compatibility().table()

    # --- preferences ----------------------------------------------------------------------------

    def preferences(self, volume: str | None = None, options: Mapping[str, object] | None = None) -> Effective:
        """What is in force, for one volume or in general: defaults, options files, the volume's own section, and
        above them all ``options``, by name. A volume that is not here is known by the name it is called.

        Raises ``UsageError`` for a value that cannot be, ``PreferencesRefused`` for a file that cannot be relied on.
        """
        sources = Sources(self._options_files.files())
        effective = sources.effective(self._names(volume) if volume is not None else None, options)
        vain = lacking(effective.settings, self._plugins.offers, self._plugins.unsettable)
        return attrs.evolve(effective, unknown=(*effective.unknown, *vain))

    def domain(self) -> Domain:
        """What a backup takes where nobody names a volume: the domain of the options files, without what their rules
        exclude. Raises ``UsageError`` if nothing is left, and as ``preferences`` does.
        """
        sources = Sources(self._options_files.files())
        members = [member.name for member in sources.domain()]
        rules = {name: sources.effective(self._names(name)).excluded for name in members}
        excluded = {name: rule.place for name, rule in rules.items() if rule is not None}
        volumes = tuple(name for name in members if name not in excluded)
        if not volumes:
            raise UsageError(
                "rules exclude the whole domain" if excluded else "no volume is named, and there is no domain",
                next_step="name volumes, or say in an options file which: domain, or domain.image in dsm.sys",
            )
        return Domain(volumes, excluded)

    def preference_schema(self) -> list[Preference]:
        """Every preference there is, in the order in which an editor shows them: all that one needs to draw them."""
        return list(schema())

    def set_preference(self, name: str, value: object, volume: str | None = None) -> str:
        """Write one preference into the options file, for one volume or in general; comments and order stay. Returns
        the file's path. What lies above it may still say otherwise: ask ``preferences``. Raises as they do.
        """
        from holdstill.preferences.setting import put

        meant = understood(schema(), name, value)
        path = self._options_files.written
        put(path, name, meant, self._names(volume) if volume is not None else None)
        return str(path)

    def convert_options(self, path: str) -> Converted:
        """An options file of TSM, and the dsm.sys beside it, as ours. Raises ``UsageError``, ``PreferencesRefused``."""
        from holdstill.preferences.converting import Converted, converted

        files = Places.of(Path(path)).files()
        return Converted(converted(files), tuple(each for file in files for each in file.unknown))

    def with_options(self, path: str) -> Engine:
        """The same engine, which reads this options file in place of the default places."""
        engine = Engine(self._plugins, str(self._state.path), self._workers, path)
        engine.passwords = self.passwords
        return engine

    def named_requests(self) -> list[NamedRequest]:
        """The backups that have a name here, in the order of a drop-down list."""
        return list(named_requests())

    @property
    def _options_files(self) -> Places:
        return self._places or Places.default()

    def _names(self, volume: str) -> Names:
        try:
            found = find(self._plugins, volume)
            return Names.of(found.facts, found.machine)
        except VolumeError:
            return Names(absolute_of(volume), identity=volume)

    def _open(self, url: str) -> AbstractContextManager[Repository]:
        return self._access.opened(url)


def _warn(talk: Conversation, damage: HoldstillError) -> None:
    talk.tell(Warned(damage.id, damage.message, damage.subject))
