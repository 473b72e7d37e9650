"""Where in S3 a target is: the bucket, the folder in it, and how the service is reached."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import attrs

from holdstill.errors import TargetUnfit
from holdstill_storage.urls import Place, options_of, with_options

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
    options = options_of(place, _OPTIONS)
    if "@" in parts.netloc or "@" in options.get("endpoint", ""):
        raise TargetUnfit(
            "credentials in a URL end up in logs and lists of processes, and are not taken",
            subject=place.shown,
            next_step="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile (?profile=NAME)",
        )
    if not parts.netloc:
        raise TargetUnfit("it names no bucket", subject=place.shown, next_step="write s3://BUCKET/FOLDER")
    folder = parts.path.strip("/")
    url = with_options(place.shown, options)
    return S3Place(url, parts.netloc, f"{folder}/" if folder else "", **options)
