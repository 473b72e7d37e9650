"""Targets with one fault each. ``PAUSE`` widens the moment in which a race goes wrong: it is lost every time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from holdstill.errors import ObjectMissing, TargetError
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Listed, check_key
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget

PAUSE: Final = 0.002


class TornPut(MemoryTarget):
    """A put that truncates in place, so that others see the first half for a moment."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Half, a pause, all."""
        whole = b"".join(parts)
        super().put(key, [whole[: len(whole) // 2]])
        time.sleep(PAUSE)
        super().put(key, [whole])


class StreamingPut(MemoryTarget):
    """A put that writes part by part under the object's own name, and leaves what it wrote when it dies."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """One part after the other."""
        written = b""
        super().put(key, [])
        for part in parts:
            time.sleep(PAUSE / 20)
            written += part
            super().put(key, [written])


class LooksFirst(MemoryTarget):
    """A put_if_absent that looks, and puts if it saw nothing."""

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Look, a pause, put."""
        if key in self.objects:
            return False
        time.sleep(PAUSE)
        self.put(key, parts)
        return True


class ReplacingCreate(MemoryTarget):
    """A put_if_absent that knows that it came late, and replaces the object nevertheless."""

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Tell the truth and do the wrong."""
        first = key not in self.objects
        self.put(key, parts)
        return first


class ImitatedCreate(MemoryTarget):
    """It claims no exclusive creates, and does something like them instead of refusing."""

    def __init__(self) -> None:
        super().__init__(properties=attrs.evolve(PROPERTIES, put_if_absent=False))

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """As if it could."""
        if key in self.objects:
            return False
        self.put(key, parts)
        return True


class ShortRange(MemoryTarget):
    """A get_range that returns what there is when the object ends before."""

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Python's slices do it."""
        return self.get(key)[offset : offset + length]


class InclusiveRange(MemoryTarget):
    """A get_range that takes the end for the last byte, as HTTP does."""

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """One byte too many, where there is one."""
        more = length > 0 and offset + length < self.size(key)
        return super().get_range(key, offset, length + more)


class RemembersMissing(MemoryTarget):
    """A cache of "not found" answers."""

    def __init__(self) -> None:
        super().__init__()
        self.missed: set[str] = set()

    def get(self, key: str) -> bytes:
        """What was missing once is missing for ever."""
        if check_key(key) not in self.objects:
            self.missed.add(key)
        if key in self.missed:
            raise ObjectMissing("there is no such object", subject=key)
        return super().get(key)


class VagueMissing(MemoryTarget):
    """It cannot tell a missing object from any other error."""

    def get(self, key: str) -> bytes:
        """An error, but not the one."""
        try:
            return super().get(key)
        except ObjectMissing:
            raise TargetError("HTTP 403", subject=key) from None


class ListsTemporaries(MemoryTarget):
    """A put whose temporary object has a name that a listing shows."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """The other name, a pause, the name."""
        whole = b"".join(parts)
        with self.lock:
            self.objects[f"{check_key(key)}-new"] = whole
        time.sleep(PAUSE)
        super().put(key, [whole])
        with self.lock:
            self.objects.pop(f"{key}-new", None)


class StaleListing(MemoryTarget):
    """A listing from a cache that nobody refreshes."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """What it was half of the puts ago."""
        rows = sorted(super().list(prefix), key=lambda row: row.key)
        return iter(rows[: len(rows) // 2])


class StrictDelete(MemoryTarget):
    """A delete that minds if there is nothing to delete."""

    def delete(self, key: str) -> None:
        """It asks first."""
        self.get(key)
        super().delete(key)


class LazyDelete(MemoryTarget):
    """A delete that is carried out some other day."""

    def delete(self, key: str) -> None:
        """Not today."""
        check_key(key)


class KeepsBuffers(MemoryTarget):
    """A put that keeps the caller's buffers and not their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, list[Buffer]] = {}

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Keep them, for ``get`` to join."""
        super().put(key, parts)
        self.kept[key] = list(parts)

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Only ``put`` is wrong."""
        self.kept.pop(key, None)
        return super().put_if_absent(key, parts)

    def get(self, key: str) -> bytes:
        """Join them now."""
        whole = super().get(key)
        return b"".join(self.kept[key]) if key in self.kept else whole


class FoldsKeys(MemoryTarget):
    """Keys that are cut where the store's names end."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """At 255 letters."""
        super().put(check_key(key)[:255], parts)

    def get(self, key: str) -> bytes:
        """At 255 letters."""
        return super().get(check_key(key)[:255])


class TakesAnyName(MemoryTarget):
    """It stores whatever name it is given."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Without a look at the key."""
        with self.lock:
            self.objects[key] = b"".join(parts)


class SharedScratch(MemoryTarget):
    """A get that keeps its work in the object, where another thread's get finds it."""

    def get(self, key: str) -> bytes:
        """Put it there, a pause, take it from there."""
        self.scratch = super().get(key)
        time.sleep(PAUSE)
        return self.scratch
