"""Taking a JSON map apart, field by field, believing nothing."""

from __future__ import annotations

import re
from typing import Any, Final

from holdstill.errors import Damaged

LARGEST_NUMBER: Final = 1 << 62
LARGEST_TEXT: Final = 1 << 16
LARGEST_LIST: Final = 1 << 20

_HEXADECIMAL: Final = re.compile(r"[0-9a-f]*")


class Fields:
    """One map of an object stored under ``key``. Every reader of a field raises ``Damaged`` naming field and key."""

    def __init__(self, value: object, key: str, within: str = "") -> None:
        self._key = key
        self._within = within
        if not isinstance(value, dict):
            raise Damaged(f"{within or 'its body'} is not a map", subject=key)
        self._left: dict[str, Any] = dict(value)

    def _take(self, name: str) -> Any:  # noqa: ANN401  # whatever the JSON holds
        if name not in self._left:
            raise self.wrong(name, "is missing")
        return self._left.pop(name)

    def wrong(self, name: str, problem: str) -> Damaged:
        """The error for a field."""
        return Damaged(f"its field {self._within}{name} {problem}", subject=self._key)

    def text(self, name: str) -> str:
        """A string of bounded length."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) > LARGEST_TEXT:
            raise self.wrong(name, "is not a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or null."""
        if self._left.get(name, "") is None:
            del self._left[name]
            return None
        return self.text(name)

    def hexadecimal(self, name: str, digits: int) -> str:
        """Exactly so many hexadecimal digits, lower case."""
        value = self.text(name)
        if len(value) != digits or not _HEXADECIMAL.fullmatch(value):
            raise self.wrong(name, f"is not {digits} hexadecimal digits")
        return value

    def number(self, name: str, largest: int = LARGEST_NUMBER) -> int:
        """An integer from 0 to ``largest``."""
        value = self._take(name)
        if type(value) is not int or not 0 <= value <= largest:
            raise self.wrong(name, f"is not an integer from 0 to {largest}")
        return value

    def number_if_there(self, name: str) -> int:
        """An integer, or 0 where there is no such field: some are there only where they say something."""
        return self.number(name) if name in self._left else 0

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "is neither true nor false")
        return value

    def below(self, name: str) -> Fields:
        """A map inside this one."""
        return Fields(self._take(name), self._key, f"{self._within}{name}.")

    def optional_below(self, name: str) -> Fields | None:
        """A map inside this one, or null."""
        if self._left.get(name, "") is None:
            del self._left[name]
            return None
        return self.below(name)

    def below_if_there(self, name: str) -> Fields | None:
        """A map inside this one, or None where there is no such field: some are there only where they say something."""
        return self.below(name) if name in self._left else None

    def items(self, name: str) -> list[Any]:
        """A list of bounded length."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > LARGEST_LIST:
            raise self.wrong(name, "is not a list")
        return value

    def each(self, name: str) -> list[Fields]:
        """A list of maps."""
        return [Fields(item, self._key, f"{self._within}{name}[{at}].") for at, item in enumerate(self.items(name))]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.items(name)
        if not all(isinstance(item, str) and len(item) <= LARGEST_TEXT for item in value):
            raise self.wrong(name, "is not a list of texts")
        return tuple(value)

    def text_map(self, name: str) -> dict[str, str]:
        """A map from string to string."""
        value = self._take(name)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self.wrong(name, "is not a map of texts")
        return value

    def done(self) -> None:
        """Nothing may be left: a field that nobody reads is a field that nobody checks."""
        if self._left:
            raise self.wrong(min(self._left), "is unknown")
