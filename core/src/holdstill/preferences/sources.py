"""The layers, one above the other, and what is in force for one volume."""

from __future__ import annotations

import difflib
import enum
import os
from collections.abc import Iterator, Mapping

import attrs

from holdstill.errors import UsageError
from holdstill.model.volume import VolumeFacts
from holdstill.preferences.files import OptionsFile, Unknown
from holdstill.preferences.schema import Preference, Value, schema, text


class Layer(enum.StrEnum):
    """Where a value may come from; each is above those before it."""

    DEFAULT = "default"
    FILE = "file"
    VOLUME = "volume"
    COMMAND = "command"


@attrs.frozen
class Setting:
    """A value, and where it is from."""

    value: Value
    layer: Layer = Layer.DEFAULT
    file: str = ""
    section: str = ""

    @property
    def origin(self) -> str:
        """``default``, ``command``, the file, or the file and the volume's section in it."""
        match self.layer:
            case Layer.FILE:
                return self.file
            case Layer.VOLUME:
                return f'{self.file} [volume."{self.section}"]'
            case _:
                return self.layer.value


@attrs.frozen
class Effective:
    """What is in force, for one volume or for all that have no section of their own."""

    volume: str | None
    settings: dict[str, Setting]
    unknown: tuple[Unknown, ...] = ()

    def __getitem__(self, name: str) -> Value:
        """The value of one preference."""
        return self.settings[name].value

    def texts(self) -> dict[str, str]:
        """Every value as text: what an image records."""
        return {name: text(setting.value) for name, setting in self.settings.items()}


@attrs.frozen
class Names:
    """All that one volume may be called in an options file."""

    named: str
    """As the user named it, made absolute."""
    identity: str = ""
    places: frozenset[str] = frozenset()
    """Its device and the mounts of it, links followed."""

    @classmethod
    def of(cls, facts: VolumeFacts) -> Names:
        """Of a volume that is here. A bind mount of a part is no name of the whole."""
        mounts = [mount.path for mount in facts.mounts if mount.root == "/" and not mount.namespace]
        places = frozenset(os.path.realpath(place) for place in (facts.path, facts.device, *mounts))
        return cls(facts.path, facts.identity, places)

    def match(self, section: str) -> bool:
        """Does this section speak of the volume?"""
        if section and section in (self.named, self.identity):
            return True
        return section.startswith("/") and os.path.realpath(section) in self.places


@attrs.frozen
class Sources:
    """The options files of one moment, lowest first."""

    files: tuple[OptionsFile, ...] = ()

    def effective(self, names: Names | None, options: Mapping[str, object] | None = None) -> Effective:
        """What is in force: defaults, then files, then sections of the volume, then ``options``, which were given with
        the command. Within a layer what stands later is above. Raises ``UsageError`` for an option that is none.
        """
        table = schema()
        settings = {each.name: Setting(each.default) for each in table}
        for layer in (self._general(), self._sections(names), _given(table, options or {})):
            settings.update(layer)
        unknown = tuple(each for file in self.files for each in file.unknown)
        return Effective(names.named if names else None, settings, unknown)

    def _general(self) -> Iterator[tuple[str, Setting]]:
        for file in self.files:
            for name, value in file.general.items():
                yield name, Setting(value, Layer.FILE, str(file.path))

    def _sections(self, names: Names | None) -> Iterator[tuple[str, Setting]]:
        for file in self.files:
            for section, values in file.volumes.items():
                if names and names.match(section):
                    for name, value in values.items():
                        yield name, Setting(value, Layer.VOLUME, str(file.path), section)


def _given(table: tuple[Preference, ...], options: Mapping[str, object]) -> Iterator[tuple[str, Setting]]:
    for name, given in options.items():
        yield name, Setting(understood(table, name, given), Layer.COMMAND)


def understood(table: tuple[Preference, ...], name: str, given: object) -> Value:
    """What is given for ``name``. Raises ``UsageError`` saying what there is, or what is allowed."""
    found = next((each for each in table if each.name == name), None)
    if found is None:
        near = difflib.get_close_matches(name, [each.name for each in table], 1)
        there_is = f"did you mean {near[0]}?" if near else f"there are: {', '.join(each.name for each in table)}"
        raise UsageError(f"there is no preference {name!r}", next_step=there_is)
    try:
        return found.value(given)
    except ValueError as error:
        raise UsageError(f"{name}: {error}", next_step=f"it may be {found.allowed}") from error
