"""Our own local-directory target: durable to the loss of power, exclusive under races."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from holdstill.errors import TargetUnfit
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Durability, Listed, Target, TargetProperties, check_key, check_prefix
from holdstill_storage import files
from holdstill_storage.errors import border, ends_early, missing
from holdstill_storage.walk import objects, sweep

#: what link(2) answers where there are no hard links (FAT, some FUSE and network file systems)
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class LocalTarget(Target):
    """Objects as files below a directory, named by their keys.

    The directory is opened once and everything goes through that descriptor: if its disk is unmounted and another
    takes its place, nothing is written to the wrong one. Folders of keys are made when they are needed.
    """

    properties = TargetProperties(durability=Durability.POWER, put_if_absent=True, fresh_listings=True)

    def __init__(self, path: str) -> None:
        self.url = self.local_path = str(Path(path).absolute())
        self._lock = threading.Lock()
        self._root: int | None = None
        self._durable_folders: set[str] = set()
        self._swept = False

    def __repr__(self) -> str:
        return f"LocalTarget({self.url!r})"

    # --- writing --------------------------------------------------------------------------------

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Write a hidden file beside the object's place, and rename it."""
        self._store(key, parts, _rename)

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Write a hidden file beside the object's place, and link it there: link(2) never replaces.

        Raises ``TargetUnfit`` on a file system without hard links.
        """
        return self._store(key, parts, _link)

    def _store(self, key: str, parts: Sequence[Buffer], name_it: Callable[[int, int, str, str], bool]) -> bool:
        folder = check_key(key).rpartition("/")[0]
        need = sum(memoryview(part).nbytes for part in parts)
        with border(self._subject(key), f"storing {need} bytes"):
            root = self._opened()
            self._ensure(folder, root)
            hidden = f"{folder or '.'}/{files.hidden_name()}"
            file = files.open_new(hidden, at=root)
            try:
                self._sweep_once(file, root)
                files.write_through(file, parts)
                stored = name_it(root, file, hidden, key)
            finally:
                os.close(file)
                with suppress(FileNotFoundError):
                    os.unlink(hidden, dir_fd=root)
            # Also when somebody was first: what we call taken must stay taken after a loss of power.
            files.sync_folder(folder or ".", at=root)
            return stored

    def _ensure(self, folder: str, root: int) -> None:
        """Make the key's folders, durably; once for each folder, since somebody else may just have made them. What
        stands beside the first of them becomes durable with it.
        """
        if folder and folder not in self._durable_folders:
            above = folder.rpartition("/")[0]
            self._ensure(above, root)
            beside = [] if above else os.listdir(root)
            files.make_folder(folder, at=root)
            self._durable_folders.update(beside, [folder])

    def _sweep_once(self, fresh: int, root: int) -> None:
        """Before the first write, remove what killed writers left. ``fresh`` tells the file system's own time."""
        with self._lock:
            due, self._swept = not self._swept, True
        if due:
            sweep(root, now=os.fstat(fresh).st_mtime)

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        """The whole file."""
        with self._object(key) as (file, size):
            return self._read(key, file, 0, size)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """A part of the file, exactly."""
        if offset < 0 or length < 0:
            raise ValueError(f"no such range: offset {offset}, length {length}")
        with self._object(key) as (file, size):
            if offset + length > size:
                raise ends_early(self._subject(key), size, offset + length)
            return self._read(key, file, offset, length)

    def size(self, key: str) -> int:
        """The file's size."""
        with self._object(key) as (_, size):
            return size

    def list(self, prefix: str) -> Iterator[Listed]:
        """The regular files under the folder whose names are keys; links and foreign names are left out."""
        return self._listed(check_prefix(prefix))

    def _listed(self, prefix: str) -> Iterator[Listed]:
        with border(self._subject(prefix), "listing"):
            yield from objects(self._opened(), prefix)

    def _read(self, key: str, file: int, offset: int, length: int) -> bytes:
        found = files.read_exactly(file, offset, length)
        if len(found) < length:
            raise ends_early(self._subject(key), offset + len(found), offset + length)
        return found

    @contextmanager
    def _object(self, key: str) -> Iterator[tuple[int, int]]:
        """The object's file, open, and its size."""
        check_key(key)
        with border(self._subject(key), "reading"):
            root = self._opened()
            try:
                file = files.open_to_read(key, at=root)
            except (FileNotFoundError, NotADirectoryError):
                raise missing(self._subject(key)) from None
            try:
                facts = os.fstat(file)
                if not stat.S_ISREG(facts.st_mode):
                    raise missing(self._subject(key))
                yield file, facts.st_size
            finally:
                os.close(file)

    # --- the rest -------------------------------------------------------------------------------

    def delete(self, key: str) -> None:
        """Unlink the file. It may come back after a loss of power; the protocol allows for that."""
        check_key(key)
        with border(self._subject(key), "deleting"), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            os.unlink(key, dir_fd=self._opened())

    def prepare(self) -> None:
        """Make the directory, and those above it that are missing."""
        with border(self.url, "making the directory"):
            for folder in reversed((Path(self.url), *Path(self.url).parents)):
                if not folder.is_dir():
                    files.make_folder(str(folder), at=None)

    def close(self) -> None:
        """Let go of the directory."""
        with self._lock:
            if self._root is not None:
                os.close(self._root)
            self._root = None

    def _opened(self) -> int:
        with self._lock:
            if self._root is None:
                self._root = os.open(self.url, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            return self._root

    def _subject(self, key: str) -> str:
        return f"{self.url}: {key}" if key else self.url


def _rename(root: int, _file: int, hidden: str, key: str) -> bool:
    os.rename(hidden, key, src_dir_fd=root, dst_dir_fd=root)
    return True


def _link(root: int, file: int, hidden: str, key: str) -> bool:
    try:
        os.link(hidden, key, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=False)
    except FileExistsError:
        # A network file system may answer so to its own repetition of a request that had succeeded.
        return os.fstat(file).st_nlink > 1
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise TargetUnfit(
            "this file system has no hard links, so that two writers could both win a create",
            subject=key,
            next_step="put the repository on a file system with hard links (ext4, XFS, Btrfs, NFS ...)",
        ) from error
    return True
