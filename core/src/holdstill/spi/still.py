"""A view of a volume that does not change while it is read."""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Mapping

import attrs

from holdstill.errors import PluginError, UsageError
from holdstill.model.choices import ANY_PROVIDER, StaticMethod
from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.holds import Holds
from holdstill.spi.reader import Reader
from holdstill.spi.runner import NoRunner, Runner
from holdstill.spi.volume import Volume


@attrs.frozen
class Fill:
    """How full the space is that a snapshot keeps old blocks in. Bytes. For warnings and early ends, never for
    correctness.
    """

    used: int
    """Starts above zero: the snapshot's own bookkeeping counts."""
    size: int


class Exactness(enum.StrEnum):
    """How much of the still is the one instant it claims to be."""

    WHOLE = "whole"
    """Every byte."""
    INSIDE_MAP = "inside-map"
    """Every byte that the file system has allocated. What is free may be newer (a JFS2 snapshot need not keep old
    free blocks), so an
    image of the whole volume is fuzzy outside the map."""
    FUZZY = "fuzzy"
    """Nothing is claimed."""


def nowhere(path: str) -> Volume:
    """For who needs no other volume. Raises ``PluginError``."""
    raise PluginError("no other volume can be looked for here", subject=path)


@attrs.frozen
class HoldRequest:
    """What a provider is asked for when it makes a still or a freeze."""

    run: str
    """Names this job: part of the name or tag of whatever is acquired."""
    holds: Holds
    """Where everything acquired is written down first."""
    cache_size: str = ""
    """Snapshot space: ``20%`` of the volume, or a size in bytes; empty leaves it to the provider."""
    limit: float = 60.0
    """Seconds that a freeze may last."""
    mode: Mode = Mode.SNAPSHOT
    """How the core wants it held; one of the provider's ``ProviderInfo.modes``."""
    static_method: StaticMethod = StaticMethod.REMOUNT
    """With ``static``."""
    runner: Runner = attrs.field(factory=NoRunner)
    """What programs are started with."""
    settings: Mapping[str, str] = attrs.field(factory=dict)
    """Of every provider, by ``provider.setting``: ``settings_of`` has one provider's."""
    provider: str = ANY_PROVIDER
    """The name of the one plugin that is to be asked; the core asks no other."""
    find: Callable[[str], Volume] = nowhere
    """The volume behind an absolute path, as the platform knows it: a snapshot's device is read by that, too."""

    def settings_of(self, provider: str, known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        """What is set of this provider, whose settings and their values ``known`` has. Raises ``UsageError`` for what
        it does not know: nothing that somebody asked for is passed over.
        """
        found: dict[str, str] = {}
        for name, value in self.settings.items():
            owner, _, own = name.partition(".")
            if owner != provider:
                continue
            if value not in known.get(own, ()):
                there = ", ".join(f"{provider}.{each}={'|'.join(values)}" for each, values in known.items())
                raise UsageError(f"{name}={value} is no setting of {provider}", next_step=f"there is {there}")
            found[own] = value
        return found


class Still(abc.ABC):
    """What the pipeline reads. Made by a provider (snapshot), or by the core from what a platform offers (offline,
    dynamic).

    Obligations:

    1. Everything, the block map too, is read through ``open_reader``: a map read by another way is a map of another
       instant.
    2. A reader that composes origin and snapshot asks what has moved *after* the read of the origin has ended, never
       before and never beside it;
       "moved" may be remembered, "not moved" may not.
    3. Once untrue, untrue for good: the reason is kept, also if the snapshot is made anew under the same name.
       Readers raise ``ReadFault`` as
       soon as the still is known to be lost.
    4. What it acquires is in ``request.holds`` before it exists.
    5. That a reader opens proves nothing: an overflowed snapshot opens too, and fails with a bare EIO. So when a read
       fails the core asks ``untrue`` first.
    """

    mode: Mode
    consistency: Consistency
    exactness: Exactness = Exactness.WHOLE
    not_held: Extents = Extents.none()
    """Ranges that the snapshot does not cover and that are read as they are (an LVCB, an inline log)."""
    notes: tuple[str, ...] = ()
    """What an image must tell of how it was held: sentences without their end."""

    @abc.abstractmethod
    def open_reader(self) -> Reader:
        """The reader of the still; may be called several times. Whoever opened it closes it, before ``release``."""

    @abc.abstractmethod
    def untrue(self) -> str | None:
        """Why what was read is not one instant of the volume (a sentence), or None: it stayed true. This is
        house.md's ``still_true``.

        Asked after the last read and before the commit, and when a read fails. Never raises: "cannot tell" is a reason.
        """

    def fill(self) -> Fill | None:
        """How full the snapshot's space is; None where there is no such thing. Asked every few seconds, from a
        thread of its own, so never behind a lock that a storage command may hold.
        """
        return None

    def audit(self, unused: Extents) -> Audit | None:
        """Ask somebody else than the reader of the map whether these bytes, which it calls unused, are that; only
        where the answer is of the same instant as the still. None: there is nobody to ask. Raises ``StructureFault``
        for bytes that are in use; then the map is not believed. Asked once, before anything is copied.
        """
        return None

    def grow(self) -> bool:
        """Make the snapshot's space larger, if that can be. Is it larger now? Never raises. Asked for when it is nearly
        full, from the thread that asks ``fill``; may take as long as a storage command does.
        """
        return False

    def mark(self) -> dict[str, str]:
        """What a later still of this volume needs to know to tell what changed since this one, if this one is kept.
        Empty: such a thing cannot be.
        """
        return {}

    def changed_since(self, mark: Mapping[str, str]) -> Extents | str:
        """The bytes that may differ from those of the still that ``mark`` is of; or why that cannot be told (a
        sentence). Too much is slow, too little is data loss: ``mark`` is not believed in any part that can be checked.
        """
        return "nothing here remembers what changed"

    def keep(self, keeper: str) -> None:
        """When it is released, keep what ``mark`` is of, in the name of ``keeper``, and let go of what was kept before
        of this volume in that name. Asked for only when ``mark`` says that it can be.
        """

    def let_go(self, keeper: str) -> None:
        """Let go of what was kept of this volume in the name of ``keeper``. Raises ``HoldstillError``."""

    def all_was_read(self) -> None:
        """The last read is done: what costs the host something, and is of no more use, may go at once. ``untrue``
        then answers for what was read until now.
        """

    @abc.abstractmethod
    def release(self) -> None:
        """Give back everything that was acquired. May be called twice. Raises ``LeftHeld`` if something is left,
        saying what; then its line in the journal stays open.
        """


class Freeze(abc.ABC):
    """A volume whose writers wait. It ends by itself at its limit, also if we are killed."""

    @abc.abstractmethod
    def renew(self) -> None:
        """Ask for the limit again, counted from now. Raises ``VolumeChanged`` if it had ended already."""

    @abc.abstractmethod
    def ended(self) -> str | None:
        """Why the freeze no longer held at some moment since it began (a sentence), or None: it held. Sticky."""

    def audit(self, unused: Extents) -> Audit | None:
        """See ``Still.audit``."""
        return None

    @abc.abstractmethod
    def thaw(self) -> None:
        """Let the writers go on. May be called twice. Raises ``LeftHeld`` if they may still be waiting."""
