"""Which options files there are, and in which language each is written."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from holdstill.errors import UsageError
from holdstill.preferences.disk import NAMED, text
from holdstill.preferences.reading import understood
from holdstill.preferences.said import OptionsFile
from holdstill.preferences.tsm import reading as tsm
from holdstill.trust import is_root


@attrs.frozen
class Places:
    """Which files are read, the later ones above the earlier, and which one is written."""

    read: tuple[Path, ...]
    written: Path
    named: bool = False
    """Was it named by the user? Then it must be there."""

    @classmethod
    def default(cls) -> Places:
        """``HOLDSTILL_OPTIONS``, else the host's files and then the user's own. Root writes the host's."""
        if named := os.environ.get(NAMED):
            return cls.of(Path(named))
        folder, own = Path("/etc/holdstill"), Path.home() / ".config/holdstill/holdstill.toml"
        host = folder / "holdstill.toml"
        return cls((folder / "dsm.opt", host, own), host if is_root() else own)

    @classmethod
    def of(cls, path: Path) -> Places:
        """This file, with the ``dsm.sys`` beside a ``dsm.opt``, and no other."""
        return cls((path.absolute(),), path.absolute(), named=True)

    def files(self) -> tuple[OptionsFile, ...]:
        """Those that exist. Raises ``UsageError`` for what they say, ``PreferencesRefused`` for what they are."""
        found = tuple(file for path in self.read for file in read_all(path))
        if self.named and not any(file.path == self.written for file in found):
            raise UsageError("there is no such options file", subject=str(self.written), next_step=f"see {NAMED}")
        return found


def read_all(path: Path) -> tuple[OptionsFile, ...]:
    """What the file says, and what TSM reads with it, lowest first. Empty if there is none. Raises as ``Places.files``
    does.
    """
    if tsm.is_named_so(path):
        return tsm.read(path)
    file = read(path)
    return () if file is None else (file,)


def read(path: Path) -> OptionsFile | None:
    """What a file of ours says; None if there is none. Raises as ``Places.files`` does."""
    said = text(path)
    return None if said is None else understood(path, said)
