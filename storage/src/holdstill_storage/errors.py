"""What the operating system and fsspec raise, said in the engine's words: one table, used at the border only."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from holdstill.errors import ObjectMissing, TargetDenied, TargetError, TargetFull

_FULL: Final = "free space there, or choose another target; what is committed is untouched"
_DENIED: Final = "run as the owner of the target, or check its rights and credentials"
_MISSING: Final = "check that the target is mounted and spelt right; `holdstill init` makes a new one"

_FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED_ERRNOS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: failures of the road to a target, not of the target: the same request may succeed in a moment
_PASSING_ERRNOS: Final = frozenset({
    errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH, errno.EPIPE, errno.ESTALE, errno.ETIMEDOUT,
})  # fmt: skip


def missing(subject: str) -> ObjectMissing:
    """The target was asked, and has no such object."""
    return ObjectMissing("there is no such object", subject=subject)


def ends_early(subject: str, size: int, wanted: int) -> TargetError:
    """An object of ``size`` bytes was asked for bytes up to ``wanted``."""
    return TargetError(f"the object has {size} bytes and ends before {wanted}", subject=subject)


def translated(
    error: OSError, subject: str, doing: str, *, clean: Callable[[str], str] = lambda text: text
) -> TargetError:
    """What ``error`` means for whoever wanted ``doing`` (words such as ``storing 4096 bytes``).

    ``clean`` takes secrets out of the foreign text.
    """
    why = clean(error.strerror or str(error) or type(error).__name__)
    message = f"{doing} failed: {why}"
    if error.errno in _FULL_ERRNOS:
        return TargetFull(message, subject=subject, next_step=_FULL)
    if error.errno in _DENIED_ERRNOS or isinstance(error, PermissionError):
        return TargetDenied(message, subject=subject, next_step=_DENIED)
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return TargetError(message, subject=subject, next_step=_MISSING)
    passing = error.errno in _PASSING_ERRNOS or isinstance(error, TimeoutError | ConnectionError)
    return TargetError(message, subject=subject, next_step="see the system log for its cause", retryable=passing)


@contextmanager
def border(subject: str, doing: str) -> Iterator[None]:
    """Let only the engine's own errors out of the block. An ``ObjectMissing`` is an OSError too, and passes."""
    try:
        yield
    except TargetError:
        raise
    except OSError as error:
        raise translated(error, subject, doing) from error
