"""The rules on clients and volume managers, asked; and old images brought in by them."""

import json
import re
from pathlib import Path

import attrs
import pytest

from holdstill import Engine, Managed
from holdstill_cli.main import main

PAGE = Path(__file__).parents[3] / "docs/reference/lvm-matrix.md"
RULES = ("--operation", "restore", "--from", "lvm1", "--to", "lvm2")


def test_without_a_question_it_prints_the_table(hold, published):
    ran = hold("compat", "--json")
    published("result-compat")(ran.result)
    assert [row[0] for row in ran.result["rows"]] == ["V5.3 and prior", "V5.4 and beyond"]
    assert ran.result["rows"][0][1:] == [
        "YES",
        "Only static image for file system",
        "NO",
        "NO - raw volumes are not supported",
    ]
    assert ran.result["rows"][1][1:] == ["NO", "YES", "YES", "NO"]
    assert "V5.4 and beyond" in hold("compat").out


def test_the_page_has_the_same_table(hold):
    result = hold("compat", "--json").result
    told = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in PAGE.read_text().splitlines() if "|" in line
    ]
    assert result["headings"] in told
    for row in result["rows"]:
        assert row in told


@pytest.mark.parametrize(("client", "allowed"), [("5.3", False), ("5.4", True)])
def test_an_answer_has_a_reason(hold, published, client, allowed):
    ran = hold("compat", "--client", client, *RULES, "--json")
    published("result-compat")(ran.result)
    assert (ran.code, ran.result["allowed"]) == (0, allowed)
    assert ran.result["reason"]
    assert re.match(
        rf"allowed +{'yes' if allowed else 'no'}\nreason +clients", hold("compat", "--client", client, *RULES).out
    )


def test_raw_and_mode_count(hold):
    asked = ("compat", "--json", "--client", "5.3", "--operation", "backup", "--from", "lvm2")
    assert hold(*asked).result["allowed"]
    assert hold(*asked, "--mode", "static").result["allowed"]
    assert not hold(*asked, "--mode", "snapshot").result["allowed"]
    assert not hold(*asked, "--raw").result["allowed"]


def test_half_a_question_is_wrong_usage(hold):
    ran = hold("compat", "--client", "5.4", "--json")
    assert (ran.code, ran.result["error"]["id"]) == (2, "usage")
    assert "--operation, --from" in ran.result["error"]["message"]
    assert hold("compat", "--client", "5.4", "--operation", "restore", "--from", "lvm1").code == 2


@pytest.fixture
def bring(hold, repo):
    """Import a file: ``bring(path, "lvm1", "5.3")``."""

    def run(path, manager, client, *more):
        return hold("import", "--json", path, "--volume-manager", manager, "--client", client, *more, repo=repo)

    return run


def test_an_old_image_comes_in_and_goes_out(bring, hold, repo, volume, published, tmp_path):
    before = volume.read_bytes()
    ran = bring(volume, "lvm1", "5.3", "--mode", "snapshot")
    published("result-import")(ran.result)
    assert (ran.code, ran.result["filesystem"], ran.result["mode"]) == (0, "ext4", "snapshot")
    assert ran.result["consistency"] == "point-in-time"

    shown = hold("show", "--json", "latest", repo=repo)
    published("result-show")(shown.result)
    assert shown.result["managed"] == {"manager": "lvm1", "client": "5.3", "facts": {}, "layout": ""}
    assert "lvm1, imaged by a client 5.3" in hold("show", "latest", repo=repo).out

    back = hold("restore", "latest", "--to-file", tmp_path / "back.img", repo=repo)
    assert back.code == 0
    assert volume.read_bytes() == before
    assert len(before) == (tmp_path / "back.img").stat().st_size


def test_what_was_taken_dynamically_is_fuzzy(bring, volume):
    result = bring(volume, "lvm1", "5.3", "--mode", "dynamic").result
    assert (result["mode"], result["consistency"]) == ("dynamic", "fuzzy")


def test_every_byte_of_a_raw_volume_is_kept(bring, repo, hold, tmp_path):
    path = tmp_path / "raw.img"
    path.write_bytes(bytes(range(256)) * 8192)
    ran = bring(path, "lvm1", "5.3", "--filesystem", "raw")
    assert (ran.code, ran.result["filesystem"]) == (0, None)
    assert hold("restore", "latest", "--to-file", tmp_path / "back", repo=repo).code == 0
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("manager", "client", "more", "reason"),
    [
        ("lvm1", "5.4", (), "LVM1 is not supported any more"),
        ("lvm2", "5.3", ("--mode", "snapshot"), "only static images"),
        ("lvm1", "5.3", ("--filesystem", "xfs"), "it holds ext4, not xfs"),
    ],
)
def test_what_cannot_have_been_is_not_taken(bring, hold, repo, volume, manager, client, more, reason):
    ran = bring(volume, manager, client, *more)
    assert (ran.code, ran.result["error"]["id"]) == (2, "usage")
    assert reason in ran.result["error"]["message"]
    assert hold("images", "--json", repo=repo).result["images"] == []


def test_an_unrecognised_volume_may_be_said_to_hold_something(bring, tmp_path):
    path = tmp_path / "raw.img"
    path.write_bytes(b"x" * (1 << 20))
    refused = bring(path, "lvm2", "5.3")
    assert "only of file systems" in refused.result["error"]["message"]
    ran = bring(path, "lvm2", "5.3", "--filesystem", "gpfs")
    assert (ran.code, ran.result["filesystem"]) == (0, "gpfs")


def test_only_files_are_imported(bring, hold, repo, tmp_path):
    assert bring(tmp_path, "lvm1", "5.3").code != 0
    assert bring(tmp_path / "gone", "lvm1", "5.3").result["error"]["id"] == "volume.missing"


@pytest.fixture
def lvm1_disk(tmp_path):
    """A disk of LVM1: what it begins with, and something behind it."""
    path = tmp_path / "disk.img"
    path.write_bytes((b"HM\x02\x00" + b"\7" * 600).ljust(1 << 20, b"\5"))
    return path


def test_a_disk_of_lvm1_is_refused_or_taken_as_it_is(hold, repo, lvm1_disk, tmp_path):
    refused = hold("backup", "--json", lvm1_disk, repo=repo).result["error"]
    assert refused["id"] == "volume.unusable"
    assert "LVM1 is not supported any more" in refused["message"]
    assert "--as-raw" in refused["message"]
    assert hold("images", "--json", repo=repo).result["images"] == []

    taken = hold("backup", "--json", "--as-raw", lvm1_disk, repo=repo).result
    assert (taken["filesystem"], taken["whole_volume_because"]) == ("LVM1_member", "asked for as the raw device")
    assert hold("show", "--json", "latest", repo=repo).result["managed"] is None

    assert hold("restore", "latest", "--to-file", tmp_path / "back", repo=repo).code == 0
    assert (tmp_path / "back").read_bytes() == lvm1_disk.read_bytes()
    assert hold("restore", "latest", "--to", lvm1_disk, "--yes", repo=repo).code == 0


def test_nothing_else_is_restored_over_a_disk_of_lvm1(hold, repo, lvm1_disk, tmp_path):
    small = tmp_path / "small"
    small.write_bytes(b"y" * 65536)
    assert hold("backup", small, repo=repo).code == 0
    before = lvm1_disk.read_bytes()
    ran = hold("restore", "latest", "--to", lvm1_disk, "--yes", "--json", repo=repo)
    assert ran.result["error"]["id"] == "restore.refused"
    assert "LVM1 is not supported any more" in ran.result["error"]["message"]
    assert lvm1_disk.read_bytes() == before


def test_as_raw_takes_every_byte_of_what_is_known(hold, repo, volume):
    taken = hold("backup", "--json", "--as-raw", volume, repo=repo).result
    assert (taken["filesystem"], taken["whole_volume_because"]) == ("ext4", "asked for as the raw device")
    assert taken["used_size"] == taken["volume_size"]


def test_a_new_volume_needs_somebody_who_makes_it(hold, repo, image):
    for name, problem in (("plain", "plugin.none"), ("no-such-group/x", "volume.missing")):
        ran = hold("restore", "--json", image, "--to-new-lv", name, repo=repo)
        assert (ran.code, ran.result["error"]["id"]) == (1, problem), json.dumps(ran.result)
    assert hold("restore", image, "--to-new-lv", "a/b", "--to-file", "x", repo=repo).code == 2


def test_what_is_kept_of_a_volume_manager_is_shown(hold, repo, image, capsys, published):
    class Shows:
        def show(self, url, name, of_volume):
            found = Engine().show(url, name)
            layout = 'vg0 {\n\tseqno = 7\n\tname = "\x1b[2J"\n}\n'
            return attrs.evolve(found, managed=Managed("lvm2", "5.4", {"lv": "home", "lv_uuid": "a-b"}, layout))

    words = ["show", "--repo", str(repo), image]
    assert main([*words, "--json"], Shows) == 0
    line = json.loads(capsys.readouterr().out)
    published("result-show")(line)
    assert line["managed"]["layout"].startswith("vg0 {\n")

    assert main(words, Shows) == 0
    out = capsys.readouterr().out
    assert re.search(r"volume manager +lvm2, imaged by a client 5\.4\nlv +home\nlv uuid +a-b\n", out)
    assert out.endswith('\n\nvg0 {\n    seqno = 7\n    name = "\\x1b[2J"\n}\n')
