"""Options files on the disk: read only if they can be relied on, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from holdstill.errors import PreferencesRefused, UsageError
from holdstill.trust import distrusted, is_root

#: names the one options file to read, in place of the default places
NAMED: Final = "HOLDSTILL_OPTIONS"
#: a file longer than this is no options file
_LARGEST: Final = 1 << 20


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Replace the file by what ``edit`` makes of its text, whole or not at all; two changes wait for each other.

    The folder is made if it is not there; mode and owner stay. Raises ``PreferencesRefused``, and what ``edit`` raises.
    """
    with _refusals(path):
        _guard(path)
        real = Path(os.path.realpath(path))
        real.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _locked(real.parent) as folder:
            before = text(path)
            changed = edit(before or "")
            if changed == before:
                return
            with _successor(real) as file:
                file.write(changed.encode())
            os.fsync(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _successor(path: Path) -> Iterator[Any]:
    """A new file that takes the place of the old one, with its mode and owner, when it is complete and on the disk."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            _as_before(path, file.fileno())
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _as_before(path: Path, descriptor: int) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    if is_root():
        os.fchown(descriptor, before.st_uid, before.st_gid)


def text(path: Path, errors: str = "strict") -> str | None:
    """What is in it; None if there is no such file. ``errors`` as ``bytes.decode`` takes it.

    Raises ``PreferencesRefused`` for what it is, ``UsageError`` for what is no text.
    """
    with _refusals(path):
        if not os.path.lexists(path):
            return None  # first: nobody need trust a place where there is nothing, such as root's in another's home
        _guard(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PreferencesRefused("the options file is no regular file", subject=str(path))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(_LARGEST + 1)
        finally:
            os.close(descriptor)
    if len(data) > _LARGEST:
        raise UsageError(f"it is longer than {_LARGEST} bytes: no options file", subject=str(path))
    try:
        return data.decode(errors=errors)
    except UnicodeDecodeError as error:
        raise UsageError(f"it is not UTF-8: {error}", subject=str(path), next_step="correct the file") from error


def _guard(path: Path) -> None:
    if is_root() and (reason := distrusted(path)):
        raise PreferencesRefused(
            f"root does not rely on this options file: {reason}",
            subject=str(path),
            next_step="give it and its folders to root, and let nobody else write there (chown root, chmod go-w)",
        )


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """The operating system's refusals as sentences."""
    try:
        yield
    except OSError as error:
        raise PreferencesRefused(
            f"the options file cannot be used: {error.strerror}",
            subject=str(path),
            next_step=f"mend its rights, or name another file in {NAMED}",
        ) from error
