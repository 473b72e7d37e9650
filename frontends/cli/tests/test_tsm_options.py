"""Options files of TSM in real runs: obeyed, shown, converted; the domain; what rules exclude; a given snapshot."""

import itertools
import os
import shutil
import subprocess

import pytest

from holdstill import BackupRequest, Conversation, Engine, Mode
from holdstill.errors import VolumeExcluded


@pytest.fixture
def dsm(tmp_path):
    """Write a file of TSM: ``dsm("dynamicimage yes")``."""

    def write(text, name="dsm.opt"):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def volumes(make_volume):
    """Three of them."""
    return [make_volume(f"{name}.img") for name in ("home", "data", "scratch")]


def notes(ran):
    return {line["message"] for line in ran.lines if line["event"] == "note"}


def test_a_backup_obeys_dsm_opt_and_says_what_it_cannot(hold, repo, volume, dsm):
    opt = dsm(
        "NODEname c21\nTCPPort 1500\ncompression no\nDYNAMICI yes\nimagegapsize 0\nsnapshotcachesize 40\n"
        "snapshotproviderimage LINUX_LVM\n"
    )

    ran = hold("backup", volume, "--options", opt, "--json", repo=repo)

    assert ran.code == 0
    assert (ran.result["mode"], ran.result["consistency"]) == ("dynamic", "fuzzy")
    assert "gap size 0" in ran.result["whole_volume_because"]
    assert {
        "nodename, tcpport: it says nothing of images",
        "compression no: what shrinks is always compressed, the rest is stored as it is",
    } <= notes(ran)
    lacking = {
        "snapshot-cache-size: not honoured: no snapshot provider here",
        "snapshot-provider: not honoured: no snapshot provider called lvm2 here",
    }
    there = {row.info.name for row in Engine().providers() if row.info and "snapshot" in row.info.modes}
    assert lacking & notes(ran) == (set() if "lvm2" in there else lacking)
    recorded = hold("show", ran.result["image"], "--json", repo=repo).result["preferences"]
    assert (recorded["snapshot-cache-size"], recorded["gap-size"]) == ("40%", "0")


def test_the_command_is_above_include_image_and_that_above_the_file(hold, repo, volume, dsm, published):
    opt = dsm(f"dynamicimage yes\nimagegapsize 1\ninclude.image {volume} GOLD imagegapsize=2 dynamicimage=no\n")

    answer = hold("preferences", volume, "--options", opt, "--json").lines[-1]
    published("preferences")(answer)
    image = hold("backup", volume, "--options", opt, "--gap-size", "1M", "--json", repo=repo).result["image"]

    shown = answer["preferences"]
    assert shown["gap-size"] == {"value": 2048, "from": f"{opt}:3 ({volume})"}
    assert shown["mode"] == {"value": "auto", "from": f"{opt}:3 ({volume})"}
    assert shown["retention-class"]["value"] == "GOLD"
    assert hold("preferences", "--options", opt, "--json").lines[-1]["preferences"]["mode"]["from"] == str(opt)
    recorded = hold("show", image, "--json", repo=repo).result["preferences"]
    assert (recorded["gap-size"], recorded["mode"], recorded["retention-class"]) == ("1048576", "auto", "GOLD")


def test_people_see_what_has_no_effect_and_why(hold, dsm, volume):
    opt = dsm(f"passwordaccess generate\ndomain.image /a /b\nexclude.image {volume}\n")

    ran = hold("preferences", volume, "--options", opt)

    assert f"no effect: passwordaccess ({opt}:1): it says nothing of images" in ran.out
    assert "domain: /a, /b" in ran.out
    assert f"no image is taken of it: {opt}:3 ({volume})" in ran.out


def test_what_is_no_provider_at_all_lacks_none(hold, dsm):
    opt = dsm("snapshotproviderimage none\n")

    assert hold("preferences", "--options", opt, "--json").lines[-1]["without_effect"] == []


def test_the_variable_may_name_a_file_of_tsm(hold, dsm, environment, monkeypatch):
    monkeypatch.setenv("HOLDSTILL_OPTIONS", str(dsm("dynamicimage yes\n")))

    assert hold("preferences", "--json").lines[-1]["preferences"]["mode"]["value"] == "dynamic"


def test_a_backup_of_nothing_in_particular_takes_the_domain(hold, repo, volumes, dsm, published):
    home, data, scratch = volumes
    opt = dsm(f"domain.image {home} {data}\ndomain.image {scratch}\nexclude.image {scratch.parent}/scr*\n")

    ran = hold("backup", "--options", opt, "--json", repo=repo)

    assert ran.code == 0
    published("result-backup")(ran.result)
    assert [each["volume"] for each in ran.result["results"]] == [str(home), str(data)]
    assert [line["subject"] for line in ran.lines if line.get("message", "").startswith("left out")] == [str(scratch)]


def test_one_volume_of_the_domain_that_fails_stops_no_other(hold, repo, volumes, dsm):
    opt = dsm(f"domain.image {volumes[0]} /not/here {volumes[1]}\n")

    ran = hold("backup", "--options", opt, "--json", repo=repo)

    assert ran.code == 1
    assert [each["ok"] for each in ran.result["results"]] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no volume is named, and there is no domain"), ("domain.image /x\nexclude.image /*", "exclude the whole")],
)
def test_an_empty_domain_is_an_error(hold, repo, dsm, text, said):
    ran = hold("backup", "--options", dsm(text), "--json", repo=repo)

    assert ran.code == 2
    assert said in ran.result["error"]["message"]
    assert "domain.image" in ran.result["error"]["next_step"]


def test_what_is_excluded_is_not_imaged_even_if_it_is_named(hold, repo, volume, dsm):
    opt = dsm(f"exclude.image {volume}\n")

    ran = hold("backup", volume, "--options", opt, "--json", repo=repo)

    assert (ran.code, ran.result["error"]["id"]) == (1, "volume.excluded")
    assert f"{opt}:1" in ran.result["error"]["message"]
    assert hold("images", "--json", repo=repo).result["images"] == []
    with pytest.raises(VolumeExcluded):
        Engine(options=str(opt)).backup(str(repo), BackupRequest(str(volume), dry_run=True), Conversation())


def test_converted_options_are_obeyed_alike(hold, repo, volume, dsm, published, tmp_path):
    dsm(f"se a\ntcpport 1\nimagegapsize 0\ndomain.image {volume}\ninclude.image {volume} dynamicimage=yes\n", "dsm.sys")
    opt = dsm("* ours\n")

    ran = hold("preferences", "convert", opt, "--json")
    published("result-preferences")(ran.result)
    ours = tmp_path / "converted.toml"
    ours.write_text(hold("preferences", "convert", opt).out)
    ours.chmod(0o600)

    assert ours.read_text() == ran.result["toml"]
    assert [each["name"] for each in ran.result["without_effect"]] == ["tcpport"]
    theirs, our = (hold("backup", "--options", file, "--json", repo=repo).result for file in (opt, ours))
    for name in ("mode", "whole_volume_because", "used_size"):
        assert theirs[name] == our[name]
    assert our["mode"] == "dynamic"


def test_a_file_of_tsm_is_not_set(hold, dsm):
    opt = dsm("dynamicimage yes\n")

    ran = hold("preferences", "set", "mode=auto", "--options", opt)

    assert ran.code == 2
    assert "holdstill preferences convert" in ran.err
    assert opt.read_text() == "dynamicimage yes\n"


def test_what_is_wrong_in_it_is_told_with_its_line(hold, repo, volume, dsm):
    opt = dsm("\nsnapshotproviderimage VSS\n")

    ran = hold("backup", volume, "--options", opt, repo=repo)

    assert ran.code == 2
    assert f"{opt}:2: snapshotproviderimage: VSS makes snapshots on Windows" in ran.err


def test_gaps_up_to_imagegapsize_are_read_along(hold, repo, volume, dsm):
    """Between files of 80,000 bytes every other one is deleted. Gaps decide what is read, never what an image holds."""
    for number in range(1, 20, 2):
        subprocess.run(["debugfs", "-w", "-R", f"rm file{number}", volume], check=True, capture_output=True)
    volume.write_bytes(volume.read_bytes())  # no holes: those are never read
    ran = {}
    for gap in ("0", "64", "128", "4g"):
        opt = dsm(f"imagegapsize {gap}\n")
        ran[gap] = hold("backup", volume, "--options", opt, "--json", repo=repo).result

    read = {gap: result["read_size"] for gap, result in ran.items()}
    assert ran["64"]["used_size"] == ran["4g"]["used_size"] <= read["64"] < read["128"] <= read["4g"] < read["0"]
    exact = min(gap for gap in _gaps(hold("map", volume, "--json").lines[0]) if gap > 64 << 10)
    as_large, less = (
        hold("backup", volume, "--gap-size", str(gap), "--json", repo=repo).result["read_size"]
        for gap in (exact, exact - 1)
    )
    assert as_large > less == read["64"]
    assert read["0"] == ran["0"]["volume_size"]
    assert ran["0"]["whole_volume_because"]


def _gaps(map_):
    runs = map_["extents"]
    return [start - (before + length) for (before, length), (start, _) in itertools.pairwise(runs)]


# --- a snapshot that somebody else made -------------------------------------------------------------


@pytest.fixture
def snapshot(volume, tmp_path):
    """What the volume was before somebody wrote to it."""
    path = tmp_path / "snapshot.img"
    shutil.copy(volume, path)
    with volume.open("r+b") as file:
        file.seek(1 << 20)
        file.write(os.urandom(1 << 20))
    return path


def test_a_given_snapshot_is_read_in_place_of_its_volume(hold, repo, volume, snapshot, tmp_path):
    before = snapshot.read_bytes()

    ran = hold("backup", volume, "--snapshot-root", snapshot, "--gap-size", "0", "--json", repo=repo)
    back = tmp_path / "back.img"
    hold("restore", ran.result["image"], "--to-file", back, repo=repo)

    assert (ran.result["mode"], ran.result["consistency"]) == ("snapshot", "point-in-time")
    assert ran.result["volume"] == str(volume)
    assert back.read_bytes() == before == snapshot.read_bytes()


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_cannot_be_a_snapshot_of_it_is_refused(hold, repo, volume, make_volume, tmp_path, dry):
    small = tmp_path / "small.img"
    small.write_bytes(bytes(1 << 20))

    other, nothing = make_volume("other.img"), tmp_path / "nothing.img"
    nothing.write_bytes(bytes(volume.stat().st_size))

    for root, said in (
        (volume, "the volume itself"),
        (small, "no snapshot of"),
        (other, "another file system"),
        (nothing, "another file system is on it (none)"),
        (tmp_path / "none", ""),
    ):
        ran = hold("backup", volume, "--snapshot-root", root, *dry, "--json", repo=repo)
        assert ran.code in (1, 2)
        assert said in ran.result["error"]["message"]
    assert hold("backup", volume, volume, "--snapshot-root", small, repo=repo).code == 2
    assert hold("images", "--json", repo=repo).result["images"] == []


# --- backups by name --------------------------------------------------------------------------------


def test_image_backup_honours_the_provider_and_so_does_snapshot_image_backup(repo, volume, dsm):
    image, snapshot = (each.request(str(volume)) for each in Engine().named_requests())

    assert (image.mode, snapshot.mode) == (None, Mode.SNAPSHOT)
    for text, mode in (("", "offline"), ("snapshotproviderimage none", "offline"), ("dynamicimage yes", "dynamic")):
        engine = Engine(options=str(dsm(text)))
        assert engine.backup(str(repo), image, Conversation()).mode == mode
