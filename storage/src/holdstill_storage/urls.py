"""Where a target is: a URL taken apart, with its secrets out of sight."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

import attrs

from holdstill.errors import TargetUnfit

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


@attrs.frozen
class Place:
    """A target's address. Only ``shown`` is for people; ``full`` may hold a password or a token."""

    scheme: str
    address: str = attrs.field(repr=False)
    """What stands after ``scheme://``; an absolute path for ``file``."""
    full: str = attrs.field(repr=False)
    """The URL as it was given, for the library that opens it."""
    shown: str
    secrets: tuple[str, ...] = attrs.field(repr=False, default=())

    def blotted(self, text: str) -> str:
        """The text without the secrets: foreign error messages like to quote whole URLs."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def options_of(place: Place, known: frozenset[str]) -> dict[str, str]:
    """What stands after the ``?`` of an address that is ours to read. Raises ``TargetUnfit`` for what is not known."""
    if "#" in place.address:
        raise TargetUnfit(
            "there is a # in it, which stands for itself nowhere", subject=place.shown, next_step="write %23"
        )
    options = dict(parse_qsl(urlsplit(f"//{place.address}").query, keep_blank_values=True))
    if unknown := sorted(options.keys() - known):
        raise TargetUnfit(
            f"no such option: {unknown[0]}",
            subject=place.shown,
            next_step=f"the options of {place.scheme}:// are {', '.join(sorted(known))}",
        )
    return options


def with_options(shown: str, options: dict[str, str]) -> str:
    """The URL as it is shown and can be opened again."""
    query = urlencode(sorted(options.items()), safe="/:~@", quote_via=quote)
    return f"{shown}?{query}" if query else shown


def parse(url: str) -> Place:
    """Take ``url`` apart. What has no ``://`` is a local path; a ``file://`` path is taken as it is written."""
    found = _SCHEME.fullmatch(url)
    scheme, address = (found[1].lower(), found[2]) if found else ("file", url)
    if scheme == "file":
        path = str(Path(address).absolute())
        return Place(scheme, path, url, path)
    parts = urlsplit(f"//{address}")
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    host = parts.netloc.rpartition("@")[2]
    written = (password, *(pair.partition("=")[2] for pair in parts.query.split("&")), parts.query)
    secrets = {meant for secret in written for meant in (secret, unquote(secret), unquote_plus(secret))}
    shown = f"{scheme}://{user}@{host}{parts.path}" if user else f"{scheme}://{host}{parts.path}"
    return Place(scheme, address, url, shown, tuple(sorted(filter(None, secrets), key=len, reverse=True)))
