"""prune, protect, check, and verify as a habit: what they print, and what they exit with."""

import re

import pytest


@pytest.fixture
def images(hold, repo, volume):
    """Two images of one volume, which differ."""
    first = hold("backup", "--json", volume, repo=repo).result["image"]
    with volume.open("r+b") as file:
        file.seek(12 << 20)
        file.write(b"something else" * 1000)
    return first, hold("backup", "--json", volume, repo=repo).result["image"]


def listed(hold, repo):
    return [image["image"] for image in hold("images", "--json", repo=repo).result["images"]]


def test_every_command_keeps_to_its_schema(hold, repo, images, published, volume):
    for schema, *words in (
        ("result-protect", "protect", images[0]),
        ("result-unprotect", "unprotect", images[0]),
        ("result-prune", "prune", "--keep-last", "1", "--dry-run"),
        ("result-check", "check", "--max-age", "26h"),
        ("result-check", "check", "--max-age", "26h", "/not/here"),
        ("result-verify", "verify", "--read-data", "50%", "--max-age", "3d", "--time-limit", "1h"),
        ("result-images", "images"),
        ("result-show", "show", images[0]),
        ("result-prune", "prune", "--keep-last", "1", "--yes"),
    ):
        published(schema)(hold(*words, "--json", repo=repo).result)


def test_a_dry_run_says_why_and_a_run_asks(hold, repo, images):
    planned = hold("prune", "--keep-last", "1", "--dry-run", repo=repo)
    assert planned.code == 0
    assert re.search(rf"{images[0][:12]} .* delete +no rule keeps it", planned.out)
    assert re.search(rf"{images[1][:12]} .* keep +the newest", planned.out)
    assert listed(hold, repo) == list(images)

    assert hold("prune", "--keep-last", "1", repo=repo).code == 1, "nobody is there to answer"
    assert listed(hold, repo) == list(images)

    assert hold("prune", "--keep-last", "1", "--yes", repo=repo).code == 0
    assert listed(hold, repo) == [images[1]]
    assert hold("verify", "--read-data", repo=repo).code == 0


def test_a_deleted_images_space_comes_back(hold, repo, images, tmp_path, volume):
    hold("delete", images[0], "--yes", repo=repo)
    hold("delete", images[1], "--yes", repo=repo)
    result = hold("prune", "--json", "--yes", repo=repo).result
    assert result["deleted_size"] > 0
    assert result["kept_packs"] == 0
    assert not [path for path in (repo / "packs").rglob("*") if path.is_file()]


def test_a_protected_image_stays(hold, repo, images):
    assert "protected" in hold("protect", images[0], repo=repo).out
    assert re.search(r"^protected +yes$", hold("show", images[0], repo=repo).out, re.MULTILINE)
    ran = hold("delete", images[0], "--yes", repo=repo)
    assert (ran.code, "unprotect" in ran.err) == (1, True)
    assert hold("prune", "--keep-last", "1", "--yes", repo=repo).code == 0
    assert listed(hold, repo) == list(images)
    assert hold("unprotect", images[0], repo=repo).code == 0
    assert hold("delete", images[0], "--yes", repo=repo).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["prune", "--keep-last", "-1"],
        ["prune", "--keep-daily", "many"],
        ["prune", "--repack-below", "2"],
        ["prune", "--keep-within", "30"],
        ["prune", "--verexists", "all"],
        ["verify", "--read-data", "150%"],
        ["verify", "--max-age", "3d"],
        ["check"],
        ["check", "--max-age", "soon"],
    ],
)
def test_what_makes_no_sense_is_wrong_usage(hold, repo, words):
    assert hold(*words, repo=repo).code == 2


def test_versions_as_tsm_says_them(hold, repo, images):
    result = hold("prune", "--json", "--dry-run", "--verexists", "nolimit", "--retextra", "1", repo=repo).result
    assert [image["kept"] for image in result["images"]] == [True, True]
    result = hold("prune", "--json", "--dry-run", "--verexists", "1", repo=repo).result
    assert [image["kept"] for image in result["images"]] == [True, False]


def test_what_a_verification_came_to_is_shown(hold, repo, images, corrupt):
    assert re.search(r"^verified +never$", hold("show", images[0], repo=repo).out, re.MULTILINE)
    hold("verify", repo=repo)
    assert "complete 2" in hold("images", repo=repo).out
    hold("verify", "--read-data", repo=repo)
    assert "read 2" in hold("images", repo=repo).out
    corrupt()
    ran = hold("verify", "--read-data", repo=repo)
    assert ran.code == 4
    assert re.search(rf"^hurt: image {images[1]} of .*\n +\d+ bytes at \d+$", ran.out, re.MULTILINE)
    assert "HURT 2" in hold("images", repo=repo).out
    assert hold("check", "--max-age", "1h", repo=repo).code == 2


def test_the_next_backup_heals_what_a_verification_found(hold, repo, images, volume, corrupt, tmp_path):
    corrupt()
    assert hold("verify", "--read-data", repo=repo).code == 4
    assert hold("backup", volume, repo=repo).code == 0
    assert hold("restore", images[1], "--to-file", tmp_path / "back.img", repo=repo).code == 0


def test_an_image_may_follow_the_option(hold, repo, images):
    assert hold("verify", "--json", "--read-data", images[0], repo=repo).result["images"] == [images[0]]


def test_check_is_for_monitors(hold, repo, images, volume):
    good = hold("check", "--max-age", "26h", repo=repo)
    assert (good.code, good.out.partition(" - ")[0]) == (0, "HOLDSTILL OK")
    assert re.search(r"\| '.*'=\d+s$", good.out)
    late = hold("check", "--max-age", "0s", volume, "/not/here", repo=repo)
    assert (late.code, late.out.partition(" - ")[0]) == (2, "HOLDSTILL CRITICAL")
    assert "/not/here: no image" in late.out


def test_a_monitor_learns_that_nothing_can_be_said(hold, tmp_path, repo):
    gone = hold("check", "--max-age", "26h", repo=tmp_path / "gone")
    assert (gone.code, gone.out.partition(" - ")[0]) == (3, "HOLDSTILL UNKNOWN")
    empty = hold("check", "--max-age", "26h", "--json", repo=repo)
    assert (empty.code, empty.result["error"]["exit_code"]) == (3, 3)
