"""What an options file says in vain, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from holdstill.errors import UsageError
from holdstill.model.choices import ANY_PROVIDER, NO_PROVIDER, provider_settings
from holdstill.model.events import Noted
from holdstill.model.volume import Mode
from holdstill.preferences.said import Unknown
from holdstill.preferences.schema import Type, schema
from holdstill.preferences.sources import Layer, Setting

if TYPE_CHECKING:
    from holdstill.spi.conversation import Conversation


def lacking(
    settings: dict[str, Setting],
    offered: Callable[[Mode, str], bool],
    unsettable: Callable[[Iterable[str]], Iterable[UsageError]],
) -> Iterator[Unknown]:
    """What somebody set that only a provider could honour, who is not installed. ``offered`` says whether the mode is,
    by the provider of that name; ``unsettable`` what nobody has of the names in ``provider-settings``.
    """
    for each in schema():
        setting = settings[each.name]
        if each.type is Type.SETTINGS:
            for error in unsettable(provider_settings(str(setting.value))):
                yield Unknown(each.name, setting.file or setting.origin, setting.line, f"not honoured: {error}")
        if each.needs is None or setting.layer is Layer.DEFAULT or setting.value in (each.default, NO_PROVIDER):
            continue
        name = str(setting.value) if each.type is Type.NAME else ANY_PROVIDER
        if not offered(each.needs, name):
            called = "" if name == ANY_PROVIDER else f" called {name}"
            reason = f"not honoured: no {each.needs} provider{called} here"
            yield Unknown(each.name, setting.file or setting.origin, setting.line, reason)


def tell_vain(unknown: Iterable[Unknown], talk: Conversation) -> None:
    """Note all of it."""
    for note in _notes(unknown):
        talk.tell(note)


def _notes(unknown: Iterable[Unknown]) -> Iterator[Noted]:
    """Names that nobody knows one by one; of the others all that have one reason in one file together."""
    together: dict[tuple[str, str], list[str]] = {}
    for each in unknown:
        if each.reason:
            together.setdefault((each.file, each.reason), []).append(each.name)
        else:
            place = f"{each.file}:{each.line}" if each.line else each.file
            yield Noted(f"there is no preference {each.name!r}; it has no effect", place)
    for (file, reason), names in together.items():
        yield Noted(f"{', '.join(dict.fromkeys(names))}: {reason}", file)
