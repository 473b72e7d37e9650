"""Object lock: each version keeps a date, and until then nobody deletes it ("Using S3 Object Lock", S3 User Guide)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from holdstill.errors import TargetLocked
from holdstill_storage import s3_errors

if TYPE_CHECKING:
    from holdstill_storage.s3 import S3Target

#: nobody can take it back, the owner of the account neither
_MODE: Final = "COMPLIANCE"
#: S3 answers nobody whose clock is further off (``RequestTimeTooSkewed``)
_SKEW: Final = dt.timedelta(minutes=15)


class Locks:
    """What is put below some prefixes is locked for a span; what is deleted is the version, not hidden by a marker."""

    def __init__(self, target: S3Target, span: dt.timedelta, below: tuple[str, ...]) -> None:
        self._target = target
        self._span = span
        self._below = below

    def of_new(self, key: str) -> dict[str, Any]:
        """What is sent with a new object."""
        if not key.startswith(self._below):
            return {}
        until = self.retention(_now() + self._span)
        return {"ObjectLockMode": until["Mode"], "ObjectLockRetainUntilDate": until["RetainUntilDate"]}

    @staticmethod
    def retention(until: dt.datetime) -> dict[str, Any]:
        """S3's word for it. Whole seconds, rounded up: some services take no others."""
        whole = until.replace(microsecond=0) + dt.timedelta(seconds=1)
        return {"Mode": _MODE, "RetainUntilDate": whole.astimezone(dt.UTC)}

    def delete(self, key: str, path: str) -> None:
        """Every version, the newest first: a put that was sent twice left two, and the older one must not come back.

        Raises ``TargetLocked``, and what the library raises.
        """
        found = self._target.ask("list_object_versions", Prefix=path)
        for version in found.get("Versions", ()):
            if version["Key"] == path:
                self._delete(key, path, version["VersionId"])

    def _delete(self, key: str, path: str, version: str) -> None:
        try:
            self._target.ask("delete_object", Key=path, VersionId=version)
        except OSError as error:
            if s3_errors.code_of(error) not in {s3_errors.LOCKED, "403"}:
                raise
            facts = self._target.ask("head_object", Key=path, VersionId=version)
            until = facts.get("ObjectLockRetainUntilDate")
            if until is None or until < _now() - _SKEW:
                raise
            raise locked(self._target.subject(key), until) from None


def locked(subject: str, until: dt.datetime) -> TargetLocked:
    """It is there, and stays so until then."""
    day = until.astimezone(dt.UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    return TargetLocked(f"it is locked until {day}", until=until, subject=subject, next_step="delete it after that")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
