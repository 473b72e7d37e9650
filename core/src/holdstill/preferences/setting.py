"""One preference, set in an options file."""

from __future__ import annotations

from pathlib import Path

from holdstill.errors import UsageError
from holdstill.preferences.disk import change
from holdstill.preferences.document import Keys, line_of
from holdstill.preferences.editing import CannotEdit, edited
from holdstill.preferences.reading import VOLUME, understood
from holdstill.preferences.schema import Value
from holdstill.preferences.sources import Names
from holdstill.preferences.tsm.reading import is_named_so


def put(path: Path, name: str, value: Value, names: Names | None) -> None:
    """Have the file say ``name = value``, in the volume's own section if ``names`` are given: in the last one that
    speaks of it, else in a new one. Nothing is written if it says so already.

    Raises ``UsageError`` for a file that is wrong, or laid out so that only a person should change it, and
    ``PreferencesRefused``.
    """

    def edit(text: str) -> str:
        file = understood(path, text)
        table: Keys = ()
        said = file.general
        if names is not None:
            section = next((each for each in reversed(file.volumes) if names.match(each)), names.named)
            table, said = (VOLUME, section), file.volumes.get(section, {})
        if name in said and said[name] == value:
            return text
        try:
            return edited(text, table, name, value)
        except CannotEdit as error:
            line = line_of(text, (*table, name)) or line_of(text, table)
            raise UsageError(
                f"{name} cannot be set there without touching more than it",
                subject=f"{path}:{line}" if line else str(path),
                next_step="change the file by hand",
            ) from error

    if is_named_so(path):
        raise UsageError(
            "options files of TSM are read, not changed",
            subject=str(path),
            next_step=f"`holdstill preferences convert {path}` prints it as a file of ours",
        )
    change(path, edit)
