"""A target behind any fsspec file system."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import fsspec

from holdstill.errors import TargetError, TargetUnfit
from holdstill.model.buffers import Buffer
from holdstill.spi.target import KEY, Listed, Target, TargetProperties, check_key, check_prefix
from holdstill_storage.errors import ends_early, missing, translated
from holdstill_storage.kinds import KINDS, UNKNOWN
from holdstill_storage.urls import Place

#: makes creates exclusive where all who could race are in this process: ``memory://``
_ONE_AT_A_TIME: Final = threading.Lock()


class FsspecTarget(Target):
    """Objects under a folder of an fsspec file system. Nothing is cached: neither listings nor instances.

    Credentials come from where the file system's own library looks for them, or from the URL; they are never shown.
    """

    def __init__(self, place: Place) -> None:
        self.url = place.shown
        kind = KINDS.get(place.scheme, UNKNOWN)
        self.properties = TargetProperties(
            durability=kind.durability,
            put_if_absent=kind.exclusive,
            fresh_listings=kind.known,
            connections=kind.connections,
            known=kind.known,
        )
        self._place = place
        with self._border("", "opening"):
            self._files, folder = _open(place)
        self._folder = folder.rstrip("/")

    def __repr__(self) -> str:
        return f"FsspecTarget({self.url!r})"

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """One whole-object request."""
        path, whole = self._path(key), b"".join(parts)
        with self._border(key, f"storing {len(whole)} bytes"):
            self._files.pipe_file(path, whole)

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """One exclusive create, where there is such a thing; ``TargetUnfit`` elsewhere."""
        path, whole = self._path(key), b"".join(parts)
        if not self.properties.put_if_absent:
            raise TargetUnfit(
                f"creates on {self._place.scheme} are not proven exclusive",
                subject=self.url,
                next_step="use the repository from one writer at a time",
            )
        with self._border(key, f"storing {len(whole)} bytes"), _ONE_AT_A_TIME:
            if self._files.exists(path):
                return False
            self._files.pipe_file(path, whole)
            return True

    def get(self, key: str) -> bytes:
        """One request."""
        path = self._path(key)
        with self._border(key, "reading"):
            return bytes(self._files.cat_file(path))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """One ranged request; a second one only to say how long a short object really is."""
        path = self._path(key)
        if offset < 0 or length < 0:
            raise ValueError(f"no such range: offset {offset}, length {length}")
        with self._border(key, "reading"):
            if length:
                found = bytes(self._files.cat_file(path, start=offset, end=offset + length))
                if len(found) == length:
                    return found
            if offset + length <= (size := self.size(key)):
                if not length:
                    return b""
                raise TargetError(f"{len(found)} bytes came where {length} were asked for", subject=self._subject(key))
            raise ends_early(self._subject(key), size, offset + length)

    def size(self, key: str) -> int:
        """What the file system says of the object."""
        path = self._path(key)
        with self._border(key, "asking for the size"):
            facts = self._files.info(path)
            if facts["type"] != "file":
                raise missing(self._subject(key))
            return int(facts["size"])

    def delete(self, key: str) -> None:
        """One request."""
        path = self._path(key)
        with self._border(key, "deleting"), suppress(FileNotFoundError):
            self._files.rm_file(path)

    def list(self, prefix: str) -> Iterator[Listed]:
        """What the file system finds below the folder, foreign names left out."""
        return self._listed(check_prefix(prefix))

    def prepare(self) -> None:
        """Make the folder, where there are folders."""
        with self._border("", "making the folder"):
            self._files.makedirs(self._folder, exist_ok=True)

    def _listed(self, prefix: str) -> Iterator[Listed]:
        with self._border(prefix, "listing"):
            try:
                found = self._files.find(f"{self._folder}/{prefix}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return
        for path, facts in found.items():
            key = str(path).removeprefix(f"{self._folder}/")
            if KEY.fullmatch(key) and key.startswith(prefix) and facts["type"] == "file":
                size = facts.get("size")
                yield Listed(key, -1 if size is None else int(size))

    def _path(self, key: str) -> str:
        return f"{self._folder}/{check_key(key)}"

    def _subject(self, key: str) -> str:
        return f"{self.url}: {key}" if key else self.url

    @contextmanager
    def _border(self, key: str, doing: str) -> Iterator[None]:
        """Let only the engine's own errors out: file systems raise whatever their libraries raise."""
        subject = self._subject(key)
        try:
            yield
        except TargetError:
            raise
        except FileNotFoundError:
            raise missing(subject) from None
        except ImportError as error:
            raise TargetUnfit(
                f"what reaches {self._place.scheme} is not installed", subject=subject, next_step=str(error)
            ) from None
        except OSError as error:
            raise translated(error, subject, doing, clean=self._place.blotted) from None
        except Exception as error:  # noqa: BLE001  # the border of foreign code: every library has errors of its own
            why = self._place.blotted(f"{type(error).__name__}: {error}")
            raise TargetError(
                f"{doing} failed: {why}", subject=subject, next_step="check the URL and the credentials"
            ) from None


def _open(place: Place) -> tuple[Any, str]:
    """The file system behind a place, and the folder on it. ``memory://`` is one store for the whole process."""
    full = f"memory://holdstill/{place.address.strip('/') or 'unnamed'}" if place.scheme == "memory" else place.full
    files, folder = fsspec.core.url_to_fs(full, use_listings_cache=False, skip_instance_cache=True)
    return files, str(folder)
