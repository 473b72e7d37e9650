"""A repository that was set back, or put in another's place, is noticed by a host that knew it."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def earlier(hold, repo, volume, tmp_path):
    """What the repository was like before its last image."""
    assert hold("backup", volume, repo=repo).code == 0
    copy = tmp_path / "earlier"
    shutil.copytree(repo, copy)
    assert hold("backup", volume, repo=repo).code == 0
    return copy


def refused(ran):
    assert ran.code == 4, ran
    assert ran.result["error"]["id"] == "repository.rolled-back"
    return Path(ran.result["error"]["next_step"].rpartition("remove ")[2].rstrip("."))


def test_a_repository_that_was_set_back(hold, repo, volume, earlier):
    shutil.rmtree(repo)
    shutil.copytree(earlier, repo)
    for words in (
        ["images"],
        ["backup", volume],
        ["verify"],
        ["prune", "--yes"],
        ["restore", "latest", "--to-file", "x"],
    ):
        memory = refused(hold(*words, "--json", repo=repo))
    assert "set back" in hold("images", repo=repo).err
    memory.unlink()
    assert hold("images", repo=repo).code == 0


def test_another_repository_in_its_place(hold, repo, volume, earlier, tmp_path, monkeypatch):
    shutil.rmtree(repo)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("HOLDSTILL_STATE", str(tmp_path / "another host"))
        assert hold("init", repo=repo).code == 0
        assert hold("backup", volume, repo=repo).code == 0
    refused(hold("images", "--json", repo=repo))
    shutil.rmtree(repo)
    assert hold("init", repo=repo).code == 0, "who makes a repository knows that it is another"
    assert hold("backup", volume, repo=repo).code == 0


def test_what_went_on_is_not_set_back(hold, repo, volume, earlier, tmp_path, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("HOLDSTILL_STATE", str(tmp_path / "another host"))
        assert hold("backup", volume, repo=repo).code == 0
        assert hold("prune", "--keep-last", "1", "--yes", repo=repo).code == 0
    assert len(hold("images", "--json", repo=repo).result["images"]) == 1
    assert hold("backup", volume, repo=repo).code == 0


def test_a_copy_under_another_name_is_another_thing(hold, repo, earlier):
    assert hold("images", repo=earlier).code == 0


def test_a_memory_that_cannot_be_read_or_kept_hinders_nobody(hold, repo, volume, earlier, tmp_path):
    (memory,) = (tmp_path / "state" / "seen").iterdir()
    memory.write_text("{")
    assert hold("images", repo=repo).code == 0
    memory.unlink()
    memory.parent.rmdir()
    memory.parent.touch()
    assert hold("backup", volume, repo=repo).code == 0
