"""The installed command in pipes and files: nothing but the answer, and a quiet end when nobody reads it."""

import os

import pytest


@pytest.fixture
def nobody_reads():
    """The writing end of a pipe whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def test_no_noise_in_pipes(spawn, repo, volume, tmp_path):
    for words in [
        ["backup", volume],
        ["restore", "latest", "--to-file", tmp_path / "back.img"],
        ["verify", "--read-data"],
    ]:
        ran = spawn(*words, repo=repo)

        assert (ran.code, ran.err) == (0, ""), words
        assert "\r" not in ran.out
        assert "\x1b" not in ran.out


@pytest.mark.parametrize("words", [["volumes"], ["volumes", "--json"], ["--help"]])
def test_a_full_disk_under_the_answer_is_told(spawn, words):
    with open("/dev/full", "w") as full:
        ran = spawn(*words, stdout=full)

    assert ran.code == 1
    assert ran.err == "holdstill: no space left on device\n"


def test_a_backup_outlives_its_reader(spawn, hold, repo, volume, nobody_reads):
    ran = spawn("backup", "--json", volume, repo=repo, stdout=nobody_reads)

    assert (ran.code, ran.err) == (1, "")
    assert len(hold("images", "--json", repo=repo).result["images"]) == 1


def test_a_restore_outlives_who_hears_its_errors(spawn, repo, volume, image, tmp_path, nobody_reads):
    ran = spawn("restore", image, "--to-file", tmp_path / "back.img", repo=repo, stderr=nobody_reads)

    assert ran.code == 0
    assert (tmp_path / "back.img").read_bytes() == volume.read_bytes()


def test_a_locale_that_cannot_say_a_name_escapes_it(environment, spawn, make_volume, monkeypatch):
    volume = make_volume("größe.img")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")

    ran = spawn("map", volume)

    assert ran.code == 0
    assert "e.img" in ran.out
    assert ran.out.isascii()


def test_a_name_that_is_not_utf_8_goes_through_the_command_line(spawn, make_volume):
    volume = make_volume(b"odd\xff.img")

    ran = spawn("map", os.fsencode(volume))

    assert (ran.code, ran.err) == (0, "")
    assert r"odd\xff.img" in ran.out
