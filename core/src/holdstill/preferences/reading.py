"""What an options file of ours says: TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import attrs

from holdstill.errors import UsageError
from holdstill.preferences.document import Keys, line_of, lines_of_headings
from holdstill.preferences.said import Member, OptionsFile, Rule, Unknown
from holdstill.preferences.schema import Preference, Value, schema

#: the table whose tables are the volumes' own sections
VOLUME: Final = "volume"
#: the array of tables that is the include-exclude list
RULE: Final = "rule"
#: the list of what is imaged where no volume is named
DOMAIN: Final = "domain"
#: of a rule: what it is about
MATCH: Final = "match"
EXCLUDE: Final = "exclude"


def understood(path: Path, text: str) -> OptionsFile:
    """What ``text`` says. Raises ``UsageError`` naming the file, the line, the name and what is allowed."""
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not TOML: {error}", subject=str(path), next_step="correct the file") from error
    reading = _Reading(path, text, {each.name: each for each in schema()})
    sections, rules, domain = said.pop(VOLUME, {}), said.pop(RULE, []), said.pop(DOMAIN, [])
    if not isinstance(sections, dict):
        raise reading.wrong((VOLUME,), f'"{VOLUME}" is no table; a volume\'s section is [volume."/dev/vg0/home"]')
    return OptionsFile(
        path,
        text,
        general=reading.values(said, ()),
        volumes={section: reading.section(section, values) for section, values in sections.items()},
        rules=reading.rules(rules),
        domain=reading.domain(domain),
        unknown=tuple(reading.unknown),
    )


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

    def rules(self, said: object) -> tuple[Rule, ...]:
        if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
            raise self.wrong((RULE,), f'"{RULE}" is no list of tables; write [[{RULE}]] above each')
        lines = lines_of_headings(self.text, (RULE,))
        return tuple(
            self._rule(dict(each), lines[at] if at < len(lines) else line_of(self.text, (RULE,)))
            for at, each in enumerate(said)
        )

    def _rule(self, said: dict[str, Any], line: int | None) -> Rule:
        pattern, exclude = said.pop(MATCH, None), said.pop(EXCLUDE, False)
        if not isinstance(pattern, str) or not pattern:
            raise self.wrong((RULE,), f"a rule without {MATCH}", f'write {MATCH} = "/dev/vg0/*" or the like', line)
        if not isinstance(exclude, bool):
            raise self.wrong((RULE,), f"{EXCLUDE}: {exclude!r} is neither true nor false", line=line)
        values = self.values(said, (RULE,), line)
        if exclude and values:
            raise self.wrong((RULE,), f"what is excluded has no preferences: {', '.join(values)}", line=line)
        return Rule(pattern, values, exclude, str(self.path), line)

    def domain(self, said: object) -> tuple[Member, ...]:
        if not isinstance(said, list) or not all(isinstance(each, str) and each.strip("-") for each in said):
            raise self.wrong((DOMAIN,), f"{DOMAIN} is no list of volumes", f'write {DOMAIN} = ["/home", "/dev/vg0/db"]')
        line = line_of(self.text, (DOMAIN,))
        return tuple(Member(each, str(self.path), line) for each in said)

    def values(self, said: dict[str, Any], table: Keys, line: int | None = None) -> dict[str, Value]:
        understood = {}
        for name, given in said.items():
            keys = (*table, name)
            if name not in self.known:
                self.unknown.append(Unknown(name, str(self.path), line or line_of(self.text, keys)))
                continue
            try:
                understood[name] = self.known[name].value(given)
            except ValueError as error:
                raise self.wrong(keys, f"{name}: {error}", f"it may be {self.known[name].allowed}", line) from error
        return understood

    def wrong(self, keys: Keys, message: str, next_step: str = "", line: int | None = None) -> UsageError:
        line = line or line_of(self.text, keys)
        place = f"{self.path}:{line}" if line else str(self.path)
        return UsageError(message, subject=place, next_step=next_step or "correct the file")
