"""Where a target is: a URL taken apart, with its secrets out of sight."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs

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
    secrets = (password, *(value for _, value in parse_qsl(parts.query)), parts.query)
    shown = f"{scheme}://{user}@{host}{parts.path}" if user else f"{scheme}://{host}{parts.path}"
    return Place(scheme, address, url, shown, tuple(secret for secret in secrets if secret))
