"""File systems of which nothing is known: tried when a repository is made, refused with the reason, or used."""

import threading

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from holdstill.errors import TargetUnfit
from holdstill.repository.opening import create, open_repository
from holdstill_storage.plugin import storage_target
from holdstill_testing.tiny import back_up, content, restored


class Decent(MemoryFileSystem):
    """Puts whole objects, and knows no exclusive creates."""

    protocol = "decent"
    store = {}  # noqa: RUF012  # of the whole class, as its parent has it
    pseudo_dirs = [""]  # noqa: RUF012


class Torn(Decent):
    """Writes in place, and is half done when the first reader comes along beside the writer of what was there."""

    protocol = "torn"
    store = {}  # noqa: RUF012
    half_done = threading.Event()
    seen = threading.Event()

    def pipe_file(self, path, value, mode="overwrite", **more):
        if self.exists(path) and not self.seen.is_set():
            super().pipe_file(path, value[: len(value) // 2])
            self.half_done.set()
            self.seen.wait(timeout=20)
        super().pipe_file(path, value)

    def cat_file(self, path, start=None, end=None, **more):
        half = self.half_done.is_set()
        found = super().cat_file(path, start, end, **more)
        if half:
            self.seen.set()
        return found


class Caching(Decent):
    """Remembers what was not there."""

    protocol = "caching"
    store = {}  # noqa: RUF012
    missed = set()  # noqa: RUF012

    def cat_file(self, path, start=None, end=None, **more):
        if path in self.missed:
            raise FileNotFoundError(path)
        try:
            return super().cat_file(path, start, end, **more)
        except FileNotFoundError:
            self.missed.add(path)
            raise


class ReadOnly(Decent):
    protocol = "readonly"
    store = {}  # noqa: RUF012

    def pipe_file(self, path, value, mode="overwrite", **more):
        raise NotImplementedError


class Ranges(Decent):
    """Gives what it has where a range goes past the end, and says nothing."""

    protocol = "ranges"
    store = {}  # noqa: RUF012

    def info(self, path, **more):
        return {**super().info(path, **more), "size": 1 << 50}


@pytest.fixture(autouse=True)
def _registered():
    for kind in (Decent, Torn, Caching, ReadOnly, Ranges):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)
        kind.store.clear()
    Torn.half_done.clear()
    Torn.seen.clear()


@pytest.mark.parametrize(
    ("protocol", "why"),
    [
        ("torn", "neither the old nor the new one"),
        ("caching", "get, get_range and size answer at once for what was put"),
        ("readonly", "NotImplementedError"),
        ("ranges", "size is"),
    ],
)
def test_what_cannot_keep_a_repository_is_refused_with_the_reason(protocol, why):
    with storage_target(f"{protocol}://place") as target:
        with pytest.raises(TargetUnfit, match=why) as told:
            create(target)
        assert "it was tried" in told.value.message
        assert "target check" in told.value.next_step
        assert [row.key for row in target.list("")] == []


def test_what_keeps_its_promises_is_used_by_one_writer():
    with storage_target("decent://place") as target:
        repository = create(target)
        assert repository.config.single_writer
        image = back_up(repository, "abcdefgh")
        assert restored(open_repository(target), image) == content("abcdefgh")
