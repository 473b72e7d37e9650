"""A repository that was set back, or put in another's place, is noticed by a host that knew it."""

import shutil

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
    assert "`holdstill accept`" in ran.result["error"]["next_step"]


@pytest.fixture
def taken_in(published):
    """Looks at the answer of ``accept``."""

    def look(ran, difference):
        assert ran.code == 0, ran
        published("result-accept")(ran.result)
        assert difference in ran.result["difference"]
        assert bool(difference) == bool(ran.result["difference"])

    return look


def test_a_repository_that_was_set_back(hold, repo, volume, earlier, taken_in):
    shutil.rmtree(repo)
    shutil.copytree(earlier, repo)
    for words in (
        ["images"],
        ["backup", volume],
        ["verify"],
        ["prune", "--yes"],
        ["restore", "latest", "--to-file", "x"],
    ):
        refused(hold(*words, "--json", repo=repo))
    assert "set back" in hold("images", repo=repo).err
    assert hold("accept", repo=repo).code == 1, "nobody is there to answer"
    refused(hold("images", "--json", repo=repo))
    taken_in(hold("accept", "--yes", "--json", repo=repo), "set back")
    taken_in(hold("accept", "--json", repo=repo), "")
    assert hold("backup", volume, repo=repo).code == 0
    assert hold("verify", "--read-data", repo=repo).code == 0
    shutil.rmtree(repo)
    shutil.copytree(earlier, repo)
    refused(hold("images", "--json", repo=repo))


def test_another_repository_in_its_place(hold, repo, volume, earlier, taken_in, tmp_path, monkeypatch):
    shutil.rmtree(repo)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("HOLDSTILL_STATE", str(tmp_path / "another host"))
        assert hold("init", repo=repo).code == 0
        assert hold("backup", volume, repo=repo).code == 0
    refused(hold("images", "--json", repo=repo))
    taken_in(hold("accept", "--yes", "--json", repo=repo), "another repository")
    assert hold("images", repo=repo).code == 0
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


def test_what_is_damaged_is_not_accepted(hold, repo, earlier):
    shutil.rmtree(repo)
    shutil.copytree(earlier, repo)
    (entry,) = (repo / "ledger").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    assert hold("accept", "--yes", "--json", repo=repo).result["error"]["id"] == "repository.damaged"
    refused(hold("images", "--json", repo=repo))


def test_copies_go_their_own_ways_under_names_of_their_own(hold, repo, volume, earlier):
    for _ in range(2):
        for each in (repo, earlier):
            assert hold("backup", volume, repo=each).code == 0
            assert hold("prune", "--keep-last", "2", "--yes", repo=each).code == 0
    for each in (repo, earlier):
        assert hold("verify", "--read-data", repo=each).code == 0


def test_a_memory_that_cannot_be_read_or_kept_hinders_nobody(hold, repo, volume, earlier, tmp_path):
    (memory,) = (tmp_path / "state" / "seen").iterdir()
    memory.write_text("{")
    assert hold("images", repo=repo).code == 0
    memory.unlink()
    memory.parent.rmdir()
    memory.parent.touch()
    assert hold("backup", volume, repo=repo).code == 0
