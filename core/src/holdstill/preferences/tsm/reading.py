"""What dsm.opt and the dsm.sys beside it say, as preferences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import UsageError
from holdstill.preferences.disk import text
from holdstill.preferences.said import Member, OptionsFile, Rule, Unknown
from holdstill.preferences.schema import Value, schema
from holdstill.preferences.tsm import stanzas
from holdstill.preferences.tsm.lines import Line, lines
from holdstill.preferences.tsm.options import Meaning, NotHonoured, Option, find, why_not
from holdstill.preferences.tsm.stanzas import named

#: files that end like this are TSM's
_OPT: Final = ".opt"
_SYS: Final = ".sys"
#: a pattern that holds more is none
_LONGEST_PATTERN: Final = 4096


def is_named_so(path: Path) -> bool:
    """Is this, by its name, a file of TSM?"""
    return path.suffix.lower() in (_OPT, _SYS)


def read(path: Path) -> tuple[OptionsFile, ...]:
    """What a dsm.sys says, and above it what a dsm.opt does; either may be missing.

    Raises ``UsageError`` for what they say, ``PreferencesRefused`` for what they are.
    """
    own = path if path.suffix.lower() == _OPT else None
    beside = path.with_name("dsm.sys") if own else path
    opt, system = _lines(own) if own else None, _lines(beside)
    server = next((line for line in opt or () if named(line) == "servername"), None)
    found = []
    if system is not None:
        chosen = stanzas.choose(system, beside, server)
        file = understood(beside, chosen.lines)
        outside = [_unknown(line, "it stands outside of every server's stanza") for line in chosen.outside]
        found.append(attrs.evolve(file, unknown=(*outside, *file.unknown)))
    if own and opt is not None:
        found.append(understood(own, [line for line in opt if line is not server or system is None]))
    return tuple(found)


def understood(path: Path, said: Iterable[Line]) -> OptionsFile:
    """What these lines say. Raises ``UsageError`` naming file, line and what is wrong."""
    reading = _Reading()
    for line in said:
        try:
            reading.take(line)
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{line.name}: {error}", subject=line.place, next_step="correct the file") from error
    return OptionsFile(
        path,
        "",
        general=reading.general,
        rules=tuple(reading.rules),
        domain=tuple(reading.domain),
        unknown=tuple(reading.unknown),
    )


def _lines(path: Path) -> list[Line] | None:
    said = text(path, errors="surrogateescape")
    return None if said is None else list(lines(said, path))


@attrs.frozen
class _Reading:
    general: dict[str, Value] = attrs.field(factory=dict)
    rules: list[Rule] = attrs.field(factory=list)
    domain: list[Member] = attrs.field(factory=list)
    unknown: list[Unknown] = attrs.field(factory=list)

    def take(self, line: Line) -> None:
        match named(line):
            case "include.image":
                self._include(line)
            case "exclude.image":
                self.rules.append(Rule(_pattern(line), exclude=True, file=str(line.file), line=line.number))
            case "domain.image":
                self.domain.extend(_members(line))
            case "inclexcl":
                self._splice(line)
            case _:
                self.general.update(self._meaning(find(line.name), line.name, line.value, line))

    def _splice(self, line: Line) -> None:
        """The list takes the place of the line that names it; what else stands in it has no effect."""
        path = line.file.parent / line.value
        said = _lines(path)
        if said is None:
            raise ValueError(f"there is no such include-exclude list: {path}")
        for each in said:
            if named(each) in ("include.image", "exclude.image"):
                self.take(each)
            elif each.name.startswith(("include", "exclude")):
                self.unknown.append(_unknown(each, why_not(each.name)))
            else:
                self.unknown.append(_unknown(each, "only include and exclude statements may stand in such a list"))

    def _include(self, line: Line) -> None:
        values: dict[str, Value] = {}
        pattern = _pattern(line)
        words = iter(line.words()[1:])
        for word in words:
            name, equals, value = word.partition("=")
            option = find(name)
            if option is not None and option.of_image:
                values |= self._meaning(option, name, value if equals else next(words, ""), line)
            elif equals or "retention-class" in values:
                self.unknown.append(_unknown(line, "include.image has no such option", name))
            else:
                values["retention-class"] = word.upper()
        self.rules.append(Rule(pattern, values, file=str(line.file), line=line.number))

    def _meaning(self, option: Option | None, name: str, value: str, line: Line) -> Meaning:
        if option is None or option.means is None:
            self.unknown.append(_unknown(line, why_not(name), name))
            return {}
        try:
            meaning = option.means(value)
        except NotHonoured as why:
            self.unknown.append(_unknown(line, str(why), f"{option.name} {value.lower()}"))
            return {}
        except ValueError as error:
            raise UsageError(f"{option.name}: {error}", subject=line.place, next_step="correct the file") from error
        known = {each.name: each for each in schema()}
        return {preference: known[preference].value(given) for preference, given in meaning.items()}


def _pattern(line: Line) -> str:
    words = line.words()
    if not words or not words[0]:
        raise ValueError("it names no volume")
    if len(words[0]) > _LONGEST_PATTERN:
        raise ValueError(f"a pattern of more than {_LONGEST_PATTERN} characters")
    return words[0]


def _members(line: Line) -> Iterator[Member]:
    words = line.words()
    if not words:
        raise ValueError("it names no volume")
    for word in words:
        if not word.startswith(("/", "-/")):
            raise ValueError(f"{word!r} is no file system and no logical volume; name each by its path")
        yield Member(word, str(line.file), line.number)


def _unknown(line: Line, reason: str, name: str = "") -> Unknown:
    return Unknown(name.lower() or line.name, str(line.file), line.number, reason)
