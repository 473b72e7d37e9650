"""Backups by name: what each system offers, and what it means."""

import pytest

from holdstill.model.named import named_requests
from holdstill.model.volume import Mode


@pytest.mark.parametrize(
    ("platform", "labels"),
    [
        ("linux", ["Image Backup", "Snapshot Image Backup"]),
        ("aix", ["Image Backup", "Snapshot Image Backup"]),
        ("hp-ux11", ["Image Backup"]),
        ("sunos5", ["Image Backup"]),
    ],
)
def test_what_the_list_has_on_each_system(platform, labels):
    assert [each.label for each in named_requests(platform)] == labels


def test_what_they_ask_for():
    asked = {each.name: each.request("/home") for each in named_requests("linux")}

    assert {name: (request.volume, request.mode) for name, request in asked.items()} == {
        "image": ("/home", None),
        "snapshot-image": ("/home", Mode.SNAPSHOT),
    }
    assert all(request.snapshot_provider is None for request in asked.values()), "the preferences say it"
