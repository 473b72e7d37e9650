"""What SSH, SFTP and the line to them answer, said in the engine's words."""

from __future__ import annotations

from typing import Final

import asyncssh

from holdstill.errors import TargetDenied, TargetError, TargetFull, TargetUnfit
from holdstill_storage.errors import missing, translated

#: the line, or the server's half of it, went away: another connection may do better
LINE: Final = (
    asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.ConnectionLost, asyncssh.DisconnectError,
    asyncssh.ChannelOpenError, asyncssh.SFTPBadMessage, TimeoutError, ConnectionError,
)  # fmt: skip
#: no name of a file is wrong that this program makes up, so a path that is not there is a folder that is not there
MISSING: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
_FULL: Final = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_DENIED: Final = (asyncssh.PermissionDenied, asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)
_HOST: Final = (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed)


def in_our_words(error: Exception, subject: str, doing: str) -> TargetError:
    """What ``error`` means for whoever wanted ``doing``."""
    why = str(getattr(error, "reason", "")) or str(error) or "no answer in time"
    message = f"{doing} failed: {why}"
    if isinstance(error, MISSING):
        return missing(subject)
    if isinstance(error, _HOST):
        return TargetDenied(
            f"the host did not prove that it is the one that is known: {why}",
            subject=subject,
            next_step="compare the fingerprint of its key (ssh-keygen -l), then put that key into known_hosts;"
            " nothing was sent to it",
        )
    if isinstance(error, _DENIED):
        next_step = "check the user, the key (?identity=FILE, or an agent), and the rights of the folder"
        return TargetDenied(message, subject=subject, next_step=next_step)
    if isinstance(error, _FULL):
        return TargetFull(message, subject=subject, next_step="free space there, or choose another target")
    if isinstance(error, asyncssh.SFTPOpUnsupported):
        return TargetUnfit(f"its SFTP server cannot: {message}", subject=subject, next_step="use OpenSSH's sftp-server")
    if isinstance(error, LINE):
        return TargetError(message, subject=subject, next_step="check the network and the server", retryable=True)
    if isinstance(error, OSError):
        return translated(error, subject, doing)
    return TargetError(message, subject=subject, next_step="see the server's log for its cause")


def misunderstood(error: ValueError, subject: str) -> TargetUnfit:
    """What asyncssh says of files of ssh(1) that it reads and does not understand."""
    return TargetUnfit(
        f"ssh's own settings are not understood: {error}",
        subject=subject,
        next_step="check ~/.ssh/config and the files known_hosts",
    )


def not_stored(error: Exception, subject: str, doing: str) -> TargetError:
    """The same where nothing was to be there already: what is missing is a folder."""
    if not isinstance(error, MISSING):
        return in_our_words(error, subject, doing)
    next_step = "see whether the disk is mounted and what is in the folder; `holdstill init` makes a new one"
    return TargetError(f"{doing} failed: a folder is missing", subject=subject, next_step=next_step)
