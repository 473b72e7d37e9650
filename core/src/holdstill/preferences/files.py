"""Options files: where they are, whether they can be relied on, what they say."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from holdstill.errors import PreferencesRefused, UsageError
from holdstill.preferences.document import Keys, line_of
from holdstill.preferences.schema import Preference, Value, schema
from holdstill.trust import distrusted, is_root

#: the table whose tables are the volumes' own sections
VOLUME: Final = "volume"
#: names the one options file to read, in place of the default places
NAMED: Final = "HOLDSTILL_OPTIONS"
#: a file longer than this is no options file
_LARGEST: Final = 1 << 20


@attrs.frozen
class Unknown:
    """A name that no preference has. It is kept, has no effect, and is told."""

    name: str
    file: str
    line: int | None


@attrs.frozen
class OptionsFile:
    """What one file says, every value already understood."""

    path: Path
    text: str = attrs.field(repr=False)
    general: dict[str, Value] = attrs.field(factory=dict)
    volumes: dict[str, dict[str, Value]] = attrs.field(factory=dict)
    """By section, in the file's order: a path or an identity, as the user wrote it."""
    unknown: tuple[Unknown, ...] = ()


@attrs.frozen
class Places:
    """Which files are read, the later ones above the earlier, and which one is written."""

    read: tuple[Path, ...]
    written: Path
    named: bool = False
    """Was it named by the user? Then it must be there."""

    @classmethod
    def default(cls) -> Places:
        """``HOLDSTILL_OPTIONS``, else the host's file and then the user's own. Root writes the host's."""
        if named := os.environ.get(NAMED):
            return cls.of(Path(named))
        host, own = Path("/etc/holdstill/holdstill.toml"), Path.home() / ".config/holdstill/holdstill.toml"
        return cls((host, own), host if is_root() else own)

    @classmethod
    def of(cls, path: Path) -> Places:
        """This file and no other."""
        return cls((path.absolute(),), path.absolute(), named=True)

    def files(self) -> tuple[OptionsFile, ...]:
        """Those that exist. Raises ``UsageError`` for what they say, ``PreferencesRefused`` for what they are."""
        found = tuple(filter(None, map(read, self.read)))
        if self.named and not found:
            raise UsageError("there is no such options file", subject=str(self.written), next_step=f"see {NAMED}")
        return found


def read(path: Path) -> OptionsFile | None:
    """What the file says; None if there is none. Raises as ``Places.files`` does."""
    text = _text(path)
    return None if text is None else understood(path, text)


def understood(path: Path, text: str) -> OptionsFile:
    """What ``text`` says. Raises ``UsageError`` naming the file, the line, the name and what is allowed."""
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not TOML: {error}", subject=str(path), next_step="correct the file") from error
    reading = _Reading(path, text, {each.name: each for each in schema()})
    sections = said.pop(VOLUME, {})
    if not isinstance(sections, dict):
        raise reading.wrong((VOLUME,), f'"{VOLUME}" is no table; a volume\'s section is [volume."/dev/vg0/home"]')
    general = reading.values(said, ())
    volumes = {section: reading.section(section, values) for section, values in sections.items()}
    return OptionsFile(path, text, general, volumes, tuple(reading.unknown))


@attrs.frozen
class _Reading:
    path: Path
    text: str
    known: dict[str, Preference]
    unknown: list[Unknown] = attrs.field(factory=list)

    def section(self, section: str, values: object) -> dict[str, Value]:
        if not isinstance(values, dict):
            raise self.wrong((VOLUME, section), f'"{section}" is no table; write [volume."{section}"] above its values')
        return self.values(values, (VOLUME, section))

    def values(self, said: dict[str, Any], table: Keys) -> dict[str, Value]:
        understood = {}
        for name, given in said.items():
            keys = (*table, name)
            if name not in self.known:
                self.unknown.append(Unknown(name, str(self.path), line_of(self.text, keys)))
                continue
            try:
                understood[name] = self.known[name].value(given)
            except ValueError as error:
                raise self.wrong(keys, f"{name}: {error}", f"it may be {self.known[name].allowed}") from error
        return understood

    def wrong(self, keys: Keys, message: str, next_step: str = "") -> UsageError:
        line = line_of(self.text, keys)
        place = f"{self.path}:{line}" if line else str(self.path)
        return UsageError(message, subject=place, next_step=next_step or "correct the file")


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Replace the file by what ``edit`` makes of its text, whole or not at all; two changes wait for each other.

    The folder is made if it is not there; mode and owner stay. Raises ``PreferencesRefused``, and what ``edit`` raises.
    """
    with _refusals(path):
        _guard(path)
        real = Path(os.path.realpath(path))
        real.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _locked(real.parent) as folder:
            text = _text(path)
            changed = edit(text or "")
            if changed == text:
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


def _text(path: Path) -> str | None:
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
        return data.decode()
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
