"""The reference target: a dictionary behind a lock, which keeps every obligation by being simple."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from holdstill.errors import ObjectMissing, TargetError, TargetUnfit
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Durability, Listed, Target, TargetProperties, check_key, check_prefix

#: what a dictionary behind a lock can honestly promise
PROPERTIES = TargetProperties(durability=Durability.MEMORY, put_if_absent=True, fresh_listings=True)


class MemoryTarget(Target):
    """Objects in memory, for tests. ``objects`` is the independent oracle: tests look into it and damage it there."""

    def __init__(self, url: str = "fake://memory", properties: TargetProperties = PROPERTIES) -> None:
        self.url = url
        self.properties = properties
        self.objects: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """As the contract says."""
        whole = b"".join(parts)
        with self.lock:
            self.objects[check_key(key)] = whole

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """As the contract says, also that a target without the ability refuses."""
        if not self.properties.put_if_absent:
            raise TargetUnfit("creates are not exclusive here", subject=self.url, next_step="use it with one writer")
        whole = b"".join(parts)
        with self.lock:
            if check_key(key) in self.objects:
                return False
            self.objects[key] = whole
            return True

    def get(self, key: str) -> bytes:
        """As the contract says."""
        with self.lock:
            whole = self.objects.get(check_key(key))
        if whole is None:
            raise ObjectMissing("there is no such object", subject=f"{self.url}: {key}")
        return whole

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """As the contract says."""
        if offset < 0 or length < 0:
            raise ValueError(f"no such range: offset {offset}, length {length}")
        whole = self.get(key)
        if offset + length > len(whole):
            raise TargetError(
                f"the object has {len(whole)} bytes and ends before {offset + length}", subject=f"{self.url}: {key}"
            )
        return whole[offset : offset + length]

    def size(self, key: str) -> int:
        """As the contract says."""
        return len(self.get(key))

    def delete(self, key: str) -> None:
        """As the contract says."""
        with self.lock:
            self.objects.pop(check_key(key), None)

    def list(self, prefix: str) -> Iterator[Listed]:
        """As the contract says: everything that was put before the listing began."""
        with self.lock:
            found = [Listed(key, len(whole)) for key, whole in self.objects.items() if key.startswith(prefix)]
        check_prefix(prefix)
        return iter(found)
