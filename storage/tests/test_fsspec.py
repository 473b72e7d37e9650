"""fsspec's file systems behind the contract: ``memory://`` keeps it all; secrets stay out of sight."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from holdstill.errors import ObjectMissing, TargetDenied, TargetError, TargetFull, TargetUnfit
from holdstill.repository.trial import try_target
from holdstill_storage import urls
from holdstill_storage.fsspec_target import FsspecTarget
from holdstill_storage.plugin import storage_target
from holdstill_testing.suites import TargetSuite


@pytest.fixture
def url(request):
    """A folder of its own in the store that the whole process shares."""
    name = f"memory://{request.node.name.replace('[', '-').replace(']', '')}"
    yield name
    for path in list(MemoryFileSystem.store):
        if path.startswith("/holdstill/"):
            del MemoryFileSystem.store[path]


class TestMemory(TargetSuite):
    @pytest.fixture
    def target(self, url):
        return storage_target(url)

    @pytest.fixture
    def second(self, url):
        return storage_target(url)


def test_its_promises_hold_when_they_are_tried(url):
    report = try_target(storage_target(url))
    assert report.kept, report


def test_each_url_has_its_own_folder(url):
    one, other = storage_target(url), storage_target(f"{url}-other")
    one.put("a", [b"one"])
    other.put("b", [b"other"])
    assert [row.key for row in one.list("")] == ["a"]
    with pytest.raises(ObjectMissing):
        other.get("a")


class Failing:
    """A file system whose every verb raises what it is told to."""

    def __init__(self, error):
        self.error = error

    def __getattr__(self, verb):
        def fail(*args, **more):
            raise self.error

        return fail


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (OSError(28, "No space left on device"), TargetFull, False),
        (PermissionError("Access Denied"), TargetDenied, False),
        (TimeoutError("timed out"), TargetError, True),
        (ConnectionResetError(104, "reset"), TargetError, True),
        (OSError("weird"), TargetError, False),
        (ValueError("Range Not Satisfiable for token=hunter2"), TargetError, False),
        (KeyError("botocore"), TargetError, False),
        (FileNotFoundError("gone"), ObjectMissing, False),
    ],
)
def test_foreign_errors_are_translated(url, error, kind, retryable):
    target = FsspecTarget(urls.parse(f"{url}?token=hunter2"))
    target._files = Failing(error)
    asks = [
        lambda: target.put("a", [b"x"]),
        lambda: target.put_if_absent("a", [b"x"]),
        lambda: target.get("a"),
        lambda: target.get_range("a", 0, 1),
        lambda: target.size("a"),
        lambda: target.delete("a"),
        lambda: list(target.list("")),
    ]
    if kind is ObjectMissing:
        asks = asks[2:5]
    for ask in asks:
        with pytest.raises(TargetError) as told:
            ask()
        assert type(told.value) is kind
        assert told.value.is_retryable is retryable
        assert "hunter2" not in str(told.value) + repr(told.value) + told.value.next_step


def test_a_service_whose_library_is_missing_is_unfit():
    with pytest.raises(TargetUnfit) as told:
        storage_target("gs://bucket/folder")
    assert "gcsfs" in told.value.next_step


def test_where_creates_are_not_proven_exclusive_they_are_refused(url):
    target = FsspecTarget(urls.parse(url))
    target.properties = type(target.properties)(target.properties.durability, False, True)
    with pytest.raises(TargetUnfit, match="not proven exclusive"):
        target.put_if_absent("a", [b"x"])
    assert list(target.list("")) == []


@pytest.mark.parametrize("answer", [b"", b"012", b"0123456789"])
def test_a_range_of_the_wrong_length_is_never_passed_on(url, answer, monkeypatch):
    target = storage_target(url)
    target.put("a", [b"0123456789"])
    monkeypatch.setattr(target._files, "cat_file", lambda *args, **more: answer)
    with pytest.raises(TargetError):
        target.get_range("a", 2, 5)
