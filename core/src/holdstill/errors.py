"""Every error of the engine: a stable id, what happened, to what, and what to do next.

This module imports nothing of ours, so that every layer may use it. Frontends show ``str(error)``
and, beside it, ``error.next_step``; scripts rely on ``error.id``, which never changes its meaning.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """What the command exits with; a table maps them to TSM's 0/4/8/12 (docs/reference/exit-codes.md)."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 2
    WARNINGS = 3
    DAMAGE = 4
    INTERRUPTED = 130
    TERMINATED = 143


class HoldstillError(Exception):
    """The root. Carries what it is about (``subject``) and what the user can do (``next_step``).

    ``id`` is stable across releases; ``exit_code`` is the command's; ``retryable`` says whether the
    same call may succeed later without anybody changing anything.
    """

    id: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.NOT_DONE
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, subject: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.next_step = next_step

    def __reduce__(self) -> tuple[object, ...]:
        """What another process raised is raised here with all that it said."""
        return _raised_elsewhere, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" if self.subject else self.message


def _raised_elsewhere(
    kind: type[HoldstillError], words: tuple[object, ...], facts: dict[str, object]
) -> HoldstillError:
    error = kind.__new__(kind, *words)
    error.args = words
    error.__dict__.update(facts)
    return error


# --- wrong usage -------------------------------------------------------------------------------


class UsageError(HoldstillError, ValueError):
    """What was asked for makes no sense as it was asked."""

    id = "usage"
    exit_code = ExitCode.USAGE


class Cancelled(HoldstillError):
    """The user or the frontend ended the job. Nothing was committed."""

    id = "cancelled"
    exit_code = ExitCode.INTERRUPTED


class Declined(HoldstillError):
    """A question was answered with no, or nobody was there to answer it."""

    id = "declined"


class PreferencesRefused(HoldstillError):
    """An options file cannot be used for what it *is*: not readable, no file, or writable by others than root."""

    id = "preferences.refused"


# --- plugins -----------------------------------------------------------------------------------


class PluginError(HoldstillError):
    """A plugin did what its contract forbids."""

    id = "plugin.contract"


class NoProvider(HoldstillError, LookupError):
    """No installed plugin can do this; the next step names the distribution that could."""

    id = "plugin.none"


class AmbiguousProvider(HoldstillError):
    """Two plugins claim the same thing; the message names both."""

    id = "plugin.ambiguous"


class WorkersLost(HoldstillError):
    """Those who were to do a part of the work elsewhere cannot be reached, or have not done it."""

    id = "workers.lost"
    retryable = True


# --- volumes -----------------------------------------------------------------------------------


class VolumeError(HoldstillError):
    """Something about a volume."""

    id = "volume"


class VolumeMissing(VolumeError, FileNotFoundError):
    """There is no such volume."""

    id = "volume.missing"


class VolumeUnusable(VolumeError):
    """It exists, but is nothing that can be imaged or restored to (a directory, a pipe, ...)."""

    id = "volume.unusable"


class VolumeExcluded(VolumeError):
    """A rule of the options files says that no image is taken of it."""

    id = "volume.excluded"


class VolumeDenied(VolumeError, PermissionError):
    """The operating system does not let us; usually root is needed."""

    id = "volume.denied"


class VolumeBusy(VolumeError):
    """It is mounted, held or open elsewhere; the message names by what."""

    id = "volume.busy"
    retryable = True


class VolumeChanged(VolumeError):
    """The still did not stay true while it was read. Nothing was committed."""

    id = "volume.changed"
    retryable = True


class ReadFault(VolumeError, OSError):
    """A range of the volume could not be read. Never confused with the end of the volume."""

    id = "volume.read"

    def __init__(self, message: str, *, offset: int, length: int, subject: str = "", next_step: str = "") -> None:
        super().__init__(message, subject=subject, next_step=next_step)
        self.offset = offset
        self.length = length


class WriteFault(VolumeError, OSError):
    """A range of the volume could not be written."""

    id = "volume.write"


class OwnGround(VolumeError):
    """The volume carries what the engine itself needs (journal, cache, repository, code)."""

    id = "volume.own-ground"


class StructureFault(VolumeError):
    """An on-disk structure is damaged or unknown. Names structure, field and offset in bytes.

    Block-map readers turn it into ``WholeVolume``; it never reaches a user as a failure to image.
    """

    id = "volume.structure"


class LeftHeld(VolumeError):
    """Something that was held could not be given back. The message says what; the journal keeps it for ``recover``."""

    id = "volume.left-held"


class CommandFailed(HoldstillError):
    """A command that was to run before the volume is held did not succeed. Nothing was held."""

    id = "command.failed"


# --- other machines ----------------------------------------------------------------------------


class MachineError(HoldstillError):
    """Something about another machine that a volume is on."""

    id = "machine"


class MachineUnreachable(MachineError, ConnectionError):
    """There is no way to it, or it cannot be driven: nobody answers, or what answers has no shell."""

    id = "machine.unreachable"
    retryable = True


class HostKeyRefused(MachineError):
    """Its key is not known here, or is another one than the one that is known."""

    id = "machine.host-key"


class LoginRefused(MachineError):
    """It does not let us in."""

    id = "machine.login"


class MachineLost(MachineError, ConnectionError):
    """The connection ended while something was under way there. Whether that was done is not known."""

    id = "machine.lost"
    retryable = True


# --- storage targets ---------------------------------------------------------------------------


class TargetError(HoldstillError, OSError):
    """A storage target failed. ``retryable`` is decided by the adapter that raised it."""

    id = "target"

    def __init__(self, message: str, *, subject: str = "", next_step: str = "", retryable: bool = False) -> None:
        super().__init__(message, subject=subject, next_step=next_step)
        self.is_retryable = retryable


class ObjectMissing(TargetError, FileNotFoundError):
    """There is no object under this key."""

    id = "target.missing"


class TargetFull(TargetError):
    """No space is left on the target."""

    id = "target.full"


class TargetDenied(TargetError, PermissionError):
    """The target refuses: credentials or rights."""

    id = "target.denied"


class TargetLocked(TargetDenied):
    """The object is locked until a date, and cannot be deleted before."""

    id = "target.locked"

    def __init__(self, message: str, *, until: dt.datetime, subject: str = "", next_step: str = "") -> None:
        super().__init__(message, subject=subject, next_step=next_step)
        self.until = until


class TargetUnfit(TargetError):
    """The target cannot keep the contract, or the URL means nothing to any adapter."""

    id = "target.unfit"


# --- repository --------------------------------------------------------------------------------


class RepositoryError(HoldstillError):
    """Something about a repository."""

    id = "repository"


class RepositoryMissing(RepositoryError, FileNotFoundError):
    """There is no repository at this place."""

    id = "repository.missing"


class RepositoryExists(RepositoryError, FileExistsError):
    """There is one already."""

    id = "repository.exists"


class FormatTooNew(RepositoryError):
    """Written by a newer release."""

    id = "repository.too-new"


class Damaged(RepositoryError):
    """An object is missing, or is not what its digest says. Names the object's key."""

    id = "repository.damaged"
    exit_code = ExitCode.DAMAGE


class RolledBack(RepositoryError):
    """The repository is not what this host has seen before: it was set back, or another stands in its place."""

    id = "repository.rolled-back"
    exit_code = ExitCode.DAMAGE


class PasswordMissing(RepositoryError):
    """The repository is sealed, and nobody gave a password."""

    id = "key.no-password"


class PasswordWrong(RepositoryError):
    """The password opens none of the repository's keys."""

    id = "key.wrong-password"


class WriteOnly(RepositoryError):
    """The key may only write, and something was to be read."""

    id = "key.write-only"


class KeyMissing(RepositoryError, LookupError):
    """No key has this name, or more than one does."""

    id = "key.missing"


class LastKey(RepositoryError):
    """The key cannot be removed: it is in use, or the last one that may read."""

    id = "key.last"


class Fenced(RepositoryError):
    """This writer's number was voided by somebody else; it begins again."""

    id = "repository.fenced"
    retryable = True


class ImageMissing(RepositoryError, LookupError):
    """No image has this id, or more than one does."""

    id = "image.missing"


class ImageProtected(RepositoryError):
    """Somebody has protected this image from being deleted."""

    id = "image.protected"


class ClockDoubtful(RepositoryError):
    """By this host's clock some image is from the future: nothing is deleted by age."""

    id = "repository.clock"


# --- restore -----------------------------------------------------------------------------------


class RestoreRefused(HoldstillError):
    """The plan does not stand; nothing was written."""

    id = "restore.refused"


class ProofFailed(HoldstillError):
    """What was read back from the restored volume is not what the image holds."""

    id = "restore.proof"
    exit_code = ExitCode.DAMAGE
