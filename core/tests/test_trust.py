"""What root relies on: files, folders and links, real ones, with owners that are not root."""

import os

import pytest

from holdstill.errors import PreferencesRefused
from holdstill.preferences.files import read
from holdstill.preferences.setting import put
from holdstill.trust import distrusted

pytestmark = pytest.mark.root


@pytest.fixture
def place(tmp_path):
    """A folder three deep, with a file in it, all of it root's."""
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    for each in (tmp_path, tmp_path / "a", folder):
        each.chmod(0o755)
    path = folder / "holdstill.toml"
    path.write_text("mode = 'static'\n")
    path.chmod(0o644)
    return path


def test_what_is_roots_alone_is_trusted(place):
    assert distrusted(place) is None
    assert distrusted(place.parent) is None
    assert read(place).general == {"mode": "static"}


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o602])
def test_a_file_writable_by_others_is_refused(place, mode):
    place.chmod(mode)

    with pytest.raises(PreferencesRefused, match=f"{place} is writable by others") as caught:
        read(place)
    assert "chmod go-w" in caught.value.next_step
    with pytest.raises(PreferencesRefused):
        put(place, "mode", "auto", None)
    assert place.read_text() == "mode = 'static'\n"


@pytest.mark.parametrize("above", [0, 1])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_folder_writable_by_others_is_refused(place, mode, above):
    folder = place.parents[above]
    folder.chmod(mode)

    assert str(folder) in distrusted(place)
    with pytest.raises(PreferencesRefused, match="writable by others"):
        read(place)


def test_a_sticky_folder_is_trusted_higher_up_only(place):
    place.parents[1].chmod(0o1777)
    assert distrusted(place) is None
    assert distrusted(place.parents[0]) is None
    assert distrusted(place.parents[0] / "to-come.toml") is None
    assert str(place.parents[1]) in distrusted(place.parents[1] / "to-come.toml")

    place.parents[1].chmod(0o755)
    place.parents[0].chmod(0o1777)
    assert str(place.parents[0]) in distrusted(place)
    assert str(place.parents[0]) in distrusted(place.parents[0])


@pytest.mark.parametrize("above", [None, 0, 1])
def test_what_belongs_to_another_is_refused(place, above):
    theirs = place if above is None else place.parents[above]
    os.chown(theirs, 65534, 0)

    assert distrusted(place) == f"{theirs} belongs to user 65534, not to root"


def test_a_link_is_followed_step_by_step(place, tmp_path):
    """The middle link is where another could turn the way; the end of it looks well."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    (theirs / "link").symlink_to(place.parent)
    (tmp_path / "first").symlink_to("theirs/link")
    (tmp_path / "fine").symlink_to("a/../a/b/holdstill.toml")

    assert distrusted(tmp_path / "fine") is None
    assert str(theirs) in distrusted(tmp_path / "first/holdstill.toml")


def test_a_link_of_another_is_refused(place, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(place)
    assert distrusted(link) is None

    os.lchown(link, 65534, 65534)
    assert str(link) in distrusted(link)


def test_links_in_a_ring_end(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")

    assert distrusted(tmp_path / "one") is None
    with pytest.raises(PreferencesRefused):
        read(tmp_path / "one")


def test_where_there_is_no_file_nothing_is_refused(place):
    """Root with the home of another: what is not there cannot be wrong."""
    os.chown(place.parent, 65534, 65534)

    assert read(place.parent / "absent.toml") is None
    assert read(place.parent / "absent/holdstill.toml") is None
    with pytest.raises(PreferencesRefused):
        read(place)


def test_a_file_to_come_may_not_come_in_a_folder_of_others(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)

    with pytest.raises(PreferencesRefused):
        put(folder / "sub/holdstill.toml", "mode", "auto", None)
    assert list(folder.iterdir()) == []
