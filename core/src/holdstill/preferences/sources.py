"""The layers, one above the other, and what is in force for one volume."""

from __future__ import annotations

import enum
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from holdstill.errors import UsageError
from holdstill.model.volume import VolumeFacts
from holdstill.preferences.patterns import fits, is_wild
from holdstill.preferences.said import Member, OptionsFile, Rule, Unknown
from holdstill.preferences.schema import Preference, Value, schema, text

if TYPE_CHECKING:
    from holdstill.spi.machine import Machine  # brings numpy, which who only asks for preferences does not need


class Layer(enum.StrEnum):
    """Where a value may come from; each is above those before it."""

    DEFAULT = "default"
    FILE = "file"
    RULE = "rule"
    VOLUME = "volume"
    COMMAND = "command"


@attrs.frozen
class Setting:
    """A value, and where it is from."""

    value: Value
    layer: Layer = Layer.DEFAULT
    file: str = ""
    section: str = ""
    """Of a volume, or the pattern of a rule."""
    line: int | None = None
    """Of a rule."""

    @property
    def origin(self) -> str:
        """``default``, ``command``, the file, or the file and the volume's section or the rule in it."""
        match self.layer:
            case Layer.FILE:
                return self.file
            case Layer.RULE:
                return Rule(self.section, file=self.file, line=self.line).place
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
    excluded: Rule | None = None
    """Why no image is taken of it."""
    domain: tuple[str, ...] = ()
    """What is imaged where no volume is named, whatever rules say."""

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
    spelt: frozenset[str] = frozenset()
    """The same, as the system spells them."""
    system: str = sys.platform
    """Whose defaults hold for it."""

    @classmethod
    def of(cls, facts: VolumeFacts, machine: Machine | None = None) -> Names:
        """Of a volume that is here, or of a machine: there each of its names has the machine's URL before it. A bind
        mount of a part is no name of the whole.
        """
        mounts = [mount.path for mount in facts.mounts if mount.root == "/" and not mount.namespace]
        if machine is not None:
            spelt = frozenset((facts.path, *(machine.url + each for each in (facts.device, *mounts))))
            return cls(facts.path, facts.identity, frozenset(), spelt, machine.system)
        spelt = frozenset((facts.path, facts.device, *mounts))
        return cls(facts.path, facts.identity, frozenset(map(os.path.realpath, spelt)), spelt)

    def match(self, section: str) -> bool:
        """Does this section speak of the volume?"""
        if section and section in (self.named, self.identity, *self.spelt):
            return True
        return section.startswith("/") and os.path.realpath(section) in self.places

    def fit(self, pattern: str) -> bool:
        """Does the pattern of a rule match one of its names, or a link below ``/dev`` that leads to it?"""
        if any(fits(pattern, name) for name in (self.named, *self.spelt, *self.places)):
            return True
        if not is_wild(pattern):
            return self.match(pattern)
        return any(os.path.realpath(link) in self.places for link in _links(pattern))


@attrs.frozen
class Sources:
    """The options files of one moment, lowest first."""

    files: tuple[OptionsFile, ...] = ()

    def effective(self, names: Names | None, options: Mapping[str, object] | None = None) -> Effective:
        """What is in force: defaults, then files, then sections of the volume, then ``options``, which were given with
        the command. Within a layer what stands later is above; of all rules only one holds. Raises ``UsageError`` for
        an option that is none.
        """
        table = schema(names.system) if names else schema()
        settings = {each.name: Setting(each.default) for each in table}
        rule = self._rule(names)
        for layer in (self._general(), _ruled(rule), self._sections(names), _given(table, options or {})):
            settings.update(layer)
        unknown = tuple(each for file in self.files for each in file.unknown)
        excluded = rule if rule is not None and rule.exclude else None
        domain = tuple(member.name for member in self.domain())
        return Effective(names.named if names else None, settings, unknown, excluded, domain)

    def domain(self) -> tuple[Member, ...]:
        """What is imaged where no volume is named, in the files' order: all that they name, without what one of them
        names with a ``-`` before it.
        """
        members = [member for file in self.files for member in file.domain]
        without = {member.name[1:] for member in members if member.name.startswith("-")}
        named = {member.name: member for member in members if not member.name.startswith("-")}
        return tuple(member for name, member in named.items() if name not in without)

    def _rule(self, names: Names | None) -> Rule | None:
        """The first that matches, from the bottom."""
        rules = [rule for file in self.files for rule in file.rules]
        return next((rule for rule in reversed(rules) if names and names.fit(rule.pattern)), None)

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


def _ruled(rule: Rule | None) -> Iterator[tuple[str, Setting]]:
    if rule is not None:
        for name, value in rule.values.items():
            yield name, Setting(value, Layer.RULE, rule.file, rule.pattern, rule.line)


def _links(pattern: str) -> Iterator[str]:
    """The links below ``/dev`` that a pattern of there matches: names such as ``/dev/vg0/home``."""
    folder = re.split(r"[*?\[\\]|\.\.\.", pattern, maxsplit=1)[0].rpartition("/")[0]
    if f"{folder}/".startswith("/dev/"):
        for inside, _, names in os.walk(folder):
            yield from (path for name in names if fits(pattern, path := f"{inside}/{name}"))


def _given(table: tuple[Preference, ...], options: Mapping[str, object]) -> Iterator[tuple[str, Setting]]:
    for name, given in options.items():
        yield name, Setting(understood(table, name, given), Layer.COMMAND)


def understood(table: tuple[Preference, ...], name: str, given: object) -> Value:
    """What is given for ``name``. Raises ``UsageError`` saying what there is, or what is allowed."""
    found = next((each for each in table if each.name == name), None)
    if found is None:
        import difflib  # only for who made a mistake

        near = difflib.get_close_matches(name, [each.name for each in table], 1)
        there_is = f"did you mean {near[0]}?" if near else f"there are: {', '.join(each.name for each in table)}"
        raise UsageError(f"there is no preference {name!r}", next_step=there_is)
    try:
        return found.value(given)
    except ValueError as error:
        raise UsageError(f"{name}: {error}", next_step=f"it may be {found.allowed}") from error
