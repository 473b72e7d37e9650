"""A URL is taken apart once, and its secrets are never shown."""

import os

import pytest

from holdstill_storage import urls
from holdstill_storage.fsspec_target import FsspecTarget
from holdstill_storage.local import LocalTarget
from holdstill_storage.plugin import storage_target


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/backup/repo", "/backup/repo"),
        ("file:///backup/repo/", "/backup/repo"),
        ("FILE:///backup/a b%20c", "/backup/a b%20c"),
        ("relative/repo", f"{os.getcwd()}/relative/repo"),
        ("odd:name", f"{os.getcwd()}/odd:name"),
        ("file://relative", f"{os.getcwd()}/relative"),
    ],
)
def test_what_has_no_scheme_is_a_local_path(url, path):
    place = urls.parse(url)
    assert (place.scheme, place.address, place.shown) == ("file", path, path)
    target = storage_target(url)
    assert isinstance(target, LocalTarget)
    assert target.url == path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("s3://key:hunter2@bucket/folder", "s3://key@bucket/folder"),
        ("S3://key:hunter2@bucket/folder?token=hunter2&x=y", "s3://key@bucket/folder"),
        ("az://:hunter2@bucket", "az://bucket"),
        ("memory://a/b", "memory://a/b"),
        ("s3://key:p@ss:hunter2@host/x", "s3://key@host/x"),
    ],
)
def test_secrets_are_not_shown(url, shown):
    place = urls.parse(url)
    assert place.shown == shown
    assert "hunter2" not in repr(place)
    assert place.full == url
    assert "hunter2" not in place.blotted(f"cannot reach {url}")


def test_a_target_shows_no_secret():
    target = FsspecTarget(urls.parse("memory://user:hunter2@place?token=hunter2"))
    assert "hunter2" not in repr(target) + target.url


@pytest.mark.parametrize("url", ["az://c/f?a=b&token=hunter%402", "az://u:hunter%402@c/f"])
@pytest.mark.parametrize("text", ["token=hunter%402", "token hunter@2"])
def test_secrets_are_blotted_as_they_are_written_and_as_they_are_meant(url, text):
    assert "hunter" not in urls.parse(url).blotted(text)
