"""A target in S3, or in what speaks like it. The requests are S3's own; s3fs brings credentials and connections."""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from holdstill.errors import TargetError, TargetUnfit
from holdstill.model.buffers import Buffer
from holdstill.spi.target import KEY, Durability, Listed, Target, TargetProperties, check_key, check_prefix
from holdstill_storage import s3_errors, s3_place
from holdstill_storage.errors import ends_early
from holdstill_storage.loop import run
from holdstill_storage.patience import Patience
from holdstill_storage.s3_exclusive import is_exclusive
from holdstill_storage.s3_locks import Locks
from holdstill_storage.s3_parts import PART, Parts
from holdstill_storage.urls import Place

Answer = TypeVar("Answer")

#: what is honoured, once it was tried (``prepare``)
_EXCLUSIVE: Final = TargetProperties(
    durability=Durability.POWER, put_if_absent=True, fresh_listings=True, connections=8
)
_ONE_WRITER: Final = TargetProperties(
    durability=Durability.POWER, put_if_absent=False, fresh_listings=True, connections=8
)
_TAKEN: Final = {"IfNoneMatch": "*"}
#: every byte has a digest of ours; and some services send the checksum of the whole object with a part of it
_SETTINGS: Final = {
    "retries": {"total_max_attempts": 1},
    "connect_timeout": 10,
    "read_timeout": 60,
    "max_pool_connections": 32,
    "response_checksum_validation": "when_required",
}


class S3Target(Target):
    """Objects below a folder of a bucket. Creates are exclusive by ``If-None-Match: *``, if the service honours that:
    ``prepare`` tries it. Nothing is cached.
    """

    def __init__(self, place: Place, patience: Patience, part: int = PART) -> None:
        """``part``: bytes; what is larger than two of them is sent in parts. S3 takes none below 5 MiB but the last."""
        self.place = s3_place.parse(place)
        self.url = self.place.url
        self.properties = _EXCLUSIVE
        self.requests: dict[str, int] = {}
        """How many of each kind were sent: that is what a service is paid by."""
        self._counting = threading.Lock()
        self.patience = patience
        self._files = _files_of(self.place)
        self._parts = Parts(self, part)
        self._locks: Locks | None = None

    def __repr__(self) -> str:
        return f"S3Target({self.url!r})"

    # --- writing --------------------------------------------------------------------------------

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """One request; large objects in parts, which appear together."""
        self._store(key, parts, {})

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """The same with a condition. Raises ``TargetUnfit`` where ``prepare`` found that the service ignores it."""
        check_key(key)
        if not self.properties.put_if_absent:
            raise TargetUnfit(
                "this service ignores If-None-Match: creates there are not exclusive",
                subject=self.url,
                next_step="use the repository from one writer at a time",
            )
        try:
            self._store(key, parts, _TAKEN)
        except _TakenError:
            return False
        return True

    def _store(self, key: str, parts: Sequence[Buffer], condition: dict[str, str]) -> None:
        path = self.path(key)
        views = [memoryview(part).cast("B") for part in parts]
        size = sum(len(view) for view in views)
        lock = self._locks.of_new(key) if self._locks is not None else {}
        with self.border(key, f"storing {size} bytes"):
            # What is locked goes in one request: that such a one locks was tried when the repository was made.
            if not lock and self._parts.worth_while(size) and (not condition or self._parts.conditional()):
                self._parts.store(path, views, size, condition)
            else:
                self.ask("put_object", size, Key=path, Body=b"".join(views), **condition, **lock)

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        """One request."""
        path = self.path(key)
        with self.border(key, "reading"):
            return self._read(path, math.inf)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """One ranged request; a second one only to say how long a short object really is."""
        path = self.path(key)
        if offset < 0 or length < 0:
            raise ValueError(f"no such range: offset {offset}, length {length}")
        found = b""
        with self.border(key, "reading"):
            if length:
                try:
                    found = self._read(path, length, Range=f"bytes={offset}-{offset + length - 1}")
                except OSError as error:
                    if s3_errors.code_of(error) not in {s3_errors.PAST_THE_END, "416"}:
                        raise
        if length and len(found) == length:
            return found
        if offset + length <= (size := self.size(key)):
            if not length:
                return b""
            raise TargetError(
                f"{len(found)} bytes came where {length} were asked for", subject=self.subject(key), retryable=True
            )
        raise ends_early(self.subject(key), size, offset + length)

    def _read(self, path: str, most: float, **wanted: str) -> bytes:
        async def read() -> bytes:
            reply = await self.request("get_object", Key=path, **wanted)
            async with reply["Body"] as body:
                if reply["ContentLength"] > most:
                    return b""  # a service that knows no ranges: all of it would come
                return bytes(await body.read())

        return run(read, self.patience.limit_for(self.properties.largest if most == math.inf else int(most)))

    def size(self, key: str) -> int:
        """One request."""
        path = self.path(key)
        with self.border(key, "asking for the size"):
            return int(self.ask("head_object", Key=path)["ContentLength"])

    def list(self, prefix: str) -> Iterator[Listed]:
        """Page by page; foreign names left out."""
        return self._listed(check_prefix(prefix))

    def _listed(self, prefix: str) -> Iterator[Listed]:
        onward: dict[str, str] = {}
        while True:
            page = self._page(prefix, onward)
            for row in page.get("Contents", ()):
                key = str(row["Key"]).removeprefix(self.place.folder)
                if KEY.fullmatch(key) and key.startswith(prefix):
                    yield Listed(key, int(row["Size"]))
            if not page.get("IsTruncated"):
                return
            if page.get("NextContinuationToken") in {None, onward.get("ContinuationToken")}:
                raise TargetError("the listing does not go on", subject=self.subject(prefix))
            onward = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, onward: dict[str, str]) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            with self.border(prefix, "listing"):
                return self.ask("list_objects_v2", Prefix=f"{self.place.folder}{prefix}", **onward)

        return self.patience.persist(ask)

    # --- deleting, and what keeps it off --------------------------------------------------------

    def delete(self, key: str) -> None:
        """One request. With locks one more: the versions themselves are deleted, which a lock forbids."""
        path = self.path(key)
        with self.border(key, "deleting"):
            if self._locks is None:
                self.ask("delete_object", Key=path)
            else:
                self._locks.delete(key, path)

    def lock_new(self, span: dt.timedelta, below: Sequence[str]) -> None:
        """The date is sent with each object. A bucket that was not made with object lock refuses the first one."""
        self._locks = Locks(self, span, tuple(below))

    def locked_until(self, key: str) -> dt.datetime | None:
        """One HEAD."""
        path = self.path(key)
        with self.border(key, "asking for the lock"):
            until = self.ask("head_object", Key=path).get("ObjectLockRetainUntilDate")
            return until if isinstance(until, dt.datetime) else None

    def lock_longer(self, key: str, until: dt.datetime) -> None:
        """One request."""
        path = self.path(key)
        with self.border(key, "locking"):
            self.ask("put_object_retention", Key=path, Retention=Locks.retention(until))

    # --- the rest -------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Ask whether the bucket is there, and try whether creates are exclusive. Makes no bucket."""
        with self.border("", "asking for the bucket"):
            self.ask("list_objects_v2", Prefix=self.place.folder, MaxKeys=1)
        self.properties = _EXCLUSIVE
        if not is_exclusive(self):
            self.properties = _ONE_WRITER

    def close(self) -> None:
        """Let go of the connections."""

        async def close() -> None:
            if (client := self._files._s3) is not None:  # noqa: SLF001  # s3fs closes its client only when collected
                self._files._s3 = None  # noqa: SLF001
                await client.close()

        run(close, self.patience.limit)

    def ask(self, verb: str, moved: int = 0, /, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401  # S3's own words
        """One request about the bucket, which moves so many bytes, and its answer. Raises what the library raises."""
        return run(lambda: self.request(verb, **wanted), self.patience.limit_for(moved))

    def request(self, verb: str, **wanted: Any) -> Coroutine[Any, Any, dict[str, Any]]:  # noqa: ANN401  # as above
        """The same, for those who wait for it themselves."""
        with self._counting:
            self.requests[verb] = self.requests.get(verb, 0) + 1
        asked: Callable[..., Coroutine[Any, Any, dict[str, Any]]] = self._files._call_s3  # noqa: SLF001  # documented
        return asked(verb, Bucket=self.place.bucket, **wanted)

    def path(self, key: str) -> str:
        """The object's name in the bucket."""
        return f"{self.place.folder}{check_key(key)}"

    def subject(self, key: str) -> str:
        """What an error is about."""
        return f"{self.url}: {key}" if key else self.url

    @contextmanager
    def border(self, key: str, doing: str) -> Iterator[None]:
        """Let only the engine's own errors out."""
        try:
            yield
        except TargetError:
            raise
        except Exception as error:  # noqa: BLE001  # the border of foreign code: each of its libraries has its own
            if s3_errors.code_of(error) in {s3_errors.TAKEN, "412"}:
                raise _TakenError from None
            raise s3_errors.in_our_words(error, self.subject(key), doing) from None


class _TakenError(Exception):
    """There is an object under this name already."""


def _files_of(place: s3_place.S3Place) -> Any:  # noqa: ANN401  # s3fs brings no types
    """The file system of s3fs: each request is sent once, ``Patience`` sends it again."""
    try:
        import s3fs
    except ImportError:
        raise TargetUnfit(
            "what speaks to S3 is not installed",
            subject=place.url,
            next_step="pip install 'holdstill-storage[s3]'",
        ) from None
    files = s3fs.S3FileSystem(
        endpoint_url=place.endpoint,
        client_kwargs={"region_name": place.region} if place.region else {},
        config_kwargs=_SETTINGS,
        use_listings_cache=False,
        skip_instance_cache=True,
        **({"profile": place.profile} if place.profile else {}),
    )
    files.retries = 1
    return files
