"""Where in S3 a target is: the bucket, the folder in it, and how the service is reached."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from holdstill.errors import TargetUnfit
from holdstill_storage.urls import Place

_OPTIONS: Final = frozenset({"endpoint", "region", "profile"})


@attrs.frozen
class S3Place:
    """``s3://BUCKET/FOLDER?endpoint=URL&region=NAME&profile=NAME``. Nothing in it is secret."""

    url: str
    bucket: str
    folder: str
    """With its slash; "" for the whole bucket."""
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None


def parse(place: Place) -> S3Place:
    """Raises ``TargetUnfit`` for credentials, which have no place in a URL, and for options that there are not."""
    parts = urlsplit(f"//{place.address}")
    if "@" in parts.netloc:
        raise TargetUnfit(
            "credentials in a URL end up in logs and lists of processes, and are not taken",
            subject=place.shown,
            next_step="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile (?profile=NAME)",
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - _OPTIONS):
        raise TargetUnfit(
            f"no such option: {unknown[0]}",
            subject=place.shown,
            next_step=f"the options of s3:// are {', '.join(sorted(_OPTIONS))}",
        )
    if not parts.netloc:
        raise TargetUnfit("it names no bucket", subject=place.shown, next_step="write s3://BUCKET/FOLDER")
    folder = parts.path.strip("/")
    query = "&".join(f"{name}={options[name]}" for name in sorted(options))
    url = f"{place.shown}?{query}" if query else place.shown
    return S3Place(url, parts.netloc, f"{folder}/" if folder else "", **options)
