"""A target that is asked again: what fails in passing is repeated, and a reply that was lost is found out."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence

from holdstill.errors import ObjectMissing, TargetError
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Listed, Target, TargetProperties
from holdstill_storage.patience import Patience


class Persistent(Target):
    """Passes everything on to ``inner``, as often as ``patience`` allows.

    Every verb may be done twice without harm, but for a create: one that was done and whose reply was lost is refused
    when it is repeated. So after a repetition the object is looked at: what holds our own bytes is ours. Keys or
    contents that are created are random enough that two writers never create the same.
    """

    def __init__(self, inner: Target, patience: Patience) -> None:
        self.inner = inner
        self.url = inner.url
        self.local_path = inner.local_path
        self._patience = patience

    def __repr__(self) -> str:
        return repr(self.inner)

    @property
    def properties(self) -> TargetProperties:  # type: ignore[override]  # what is behind may learn more when prepared
        """Those of what is behind."""
        return self.inner.properties

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Again and again: it replaces what it stored itself."""
        self._patience.persist(lambda: self.inner.put(key, parts))

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """True also if an earlier sending of ours had arrived without our being told."""
        in_doubt = False

        def create() -> bool:
            nonlocal in_doubt
            try:
                return self.inner.put_if_absent(key, parts) or (in_doubt and self._holds(key, parts))
            except TargetError:
                in_doubt = True
                raise

        return self._patience.persist(create)

    def _holds(self, key: str, parts: Sequence[Buffer]) -> bool:
        try:
            return self.get(key) == b"".join(parts)
        except ObjectMissing:
            return False

    def get(self, key: str) -> bytes:
        """Again and again."""
        return self._patience.persist(lambda: self.inner.get(key))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Again and again."""
        return self._patience.persist(lambda: self.inner.get_range(key, offset, length))

    def size(self, key: str) -> int:
        """Again and again."""
        return self._patience.persist(lambda: self.inner.size(key))

    def delete(self, key: str) -> None:
        """Again and again: what is gone already is no error."""
        self._patience.persist(lambda: self.inner.delete(key))

    def list(self, prefix: str) -> Iterator[Listed]:
        """Again and again, until the first row came: where a listing is many requests, adapters repeat each alone."""
        rows = self._patience.persist(lambda: _begun(self.inner.list(prefix)))
        return itertools.chain.from_iterable(rows)

    def lock_new(self, span: dt.timedelta, below: Sequence[str]) -> None:
        """Again and again."""
        self._patience.persist(lambda: self.inner.lock_new(span, below))

    def locked_until(self, key: str) -> dt.datetime | None:
        """Again and again."""
        return self._patience.persist(lambda: self.inner.locked_until(key))

    def lock_longer(self, key: str, until: dt.datetime) -> None:
        """Again and again: a lock only ever grows."""
        self._patience.persist(lambda: self.inner.lock_longer(key, until))

    def prepare(self) -> None:
        """Again and again."""
        self._patience.persist(self.inner.prepare)

    def close(self) -> None:
        """Passed on."""
        self.inner.close()


def _begun(rows: Iterator[Listed]) -> tuple[Sequence[Listed], Iterator[Listed]]:
    """The first row, which has been asked for, and the others."""
    return tuple(itertools.islice(rows, 1)), rows
