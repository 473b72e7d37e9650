"""Every command, really run on a real volume and a real repository, as a person sees it."""

import os
import re
import subprocess

import pytest

from holdstill_testing import processes


def test_init_tells_what_it_made(hold, tmp_path):
    ran = hold("init", "--repo", tmp_path / "r", "--chunk-size", "64K", "--digest", "blake2b")

    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^chunk size +64\.0 KiB$", ran.out, re.MULTILINE)
    assert re.search(r"^digest +blake2b$", ran.out, re.MULTILINE)


def test_init_touches_no_repository(hold, repo):
    ran = hold("init", repo=repo)

    assert (ran.code, ran.out) == (1, "")
    assert str(repo) in ran.err


def test_backup_tells_the_sizes(hold, repo, volume):
    ran = hold("backup", "--bytes", volume, repo=repo)

    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^volume size +25165824$", ran.out, re.MULTILINE)
    assert re.search(r"^file system +ext4$", ran.out, re.MULTILINE)
    assert re.search(r"^held +offline \(point-in-time\)$", ran.out, re.MULTILINE)


def test_a_dry_run_stores_nothing(hold, repo, volume):
    ran = hold("backup", "--dry-run", volume, repo=repo)

    assert ran.code == 0
    assert "this was a dry run" in ran.out
    assert hold("images", repo=repo).out == "no images yet\n"


def test_gap_size_0_takes_every_byte(hold, repo, volume):
    used = hold("backup", "--json", volume, repo=repo).result
    everything = hold("backup", "--json", "--gap-size", "0", volume, repo=repo).result

    assert used["whole_volume_because"] is None
    assert used["used_size"] < used["volume_size"]
    assert everything["used_size"] == everything["volume_size"]
    assert everything["whole_volume_because"] == "asked for with gap size 0"


def test_the_mode_is_passed_on(hold, repo, volume):
    ran = hold("backup", "--json", "--mode", "dynamic", volume, repo=repo)

    assert (ran.result["mode"], ran.result["consistency"]) == ("dynamic", "fuzzy")


def test_several_volumes_each_whatever_became_of_the_one_before(hold, repo, make_volume, tmp_path, published):
    first, missing, last = make_volume("a.img"), tmp_path / "none.img", make_volume("b.img")

    ran = hold("backup", "--json", first, missing, last, repo=repo)

    told = [line for line in ran.lines if line["event"] == "volume-result"]
    for line in told:
        published("volume-result")(line)
    published("result-backup")(ran.result)
    assert ran.code == ran.result["error"]["exit_code"] == 1
    assert [line["ok"] for line in told] == [True, False, True]
    assert [{"event": "volume-result", **each} for each in ran.result["results"]] == told
    assert ran.result["error"]["id"] == "volumes.not-done"
    assert told[1]["error"]["id"] == "volume.missing"
    assert len(hold("images", "--json", repo=repo).result["images"]) == 2


def test_several_volumes_all_done(hold, repo, make_volume, published):
    ran = hold("backup", "--json", make_volume("a.img"), make_volume("b.img"), repo=repo)

    assert ran.code == 0
    published("result-backup")(ran.result)
    assert all(each["ok"] for each in ran.result["results"])


def test_several_volumes_for_people(hold, repo, make_volume, tmp_path):
    ran = hold("backup", make_volume("a.img"), tmp_path / "none.img", repo=repo)

    assert ran.code == 1
    assert len(re.findall(r"^image +[0-9a-f]{32}$", ran.out, re.MULTILINE)) == 1
    assert "none.img" in ran.err
    assert "1 of 2 volumes were not imaged" in ran.err


def test_images_are_a_table_oldest_first(hold, repo, make_volume):
    for name in ("a.img", "b.img"):
        assert hold("backup", make_volume(name), repo=repo).code == 0

    ran = hold("images", repo=repo)

    heading, first, second = ran.out.splitlines()
    assert heading.startswith("IMAGE ")
    assert re.match(r"[0-9a-f]{8} .*/a\.img +ext4 +offline, point-in-time +24\.0 MiB ", first)
    assert "/b.img" in second
    assert "25165824" in hold("images", "--bytes", repo=repo).out


def test_show_has_all_six_sizes(hold, repo, volume, image):
    shown = hold("show", "--bytes", image, repo=repo)
    sizes = hold("show", "--json", image, repo=repo).result

    assert shown.code == 0
    assert f"{sizes['stored_size']} of a volume of {sizes['volume_size']}" in shown.out
    for name, field in [
        ("volume size", "volume_size"),
        ("used", "used_size"),
        ("read", "read_size"),
        ("image size", "image_size"),
        ("snapshot peak", "cache_peak"),
    ]:
        assert re.search(rf"^{name} +{sizes[field]}\b", shown.out, re.MULTILINE), name


def test_show_says_that_nobody_was_asked_about_the_map(hold, repo, image):
    """An unmounted volume: there is no kernel to ask."""
    assert re.search(r"^map +not audited$", hold("show", image, repo=repo).out, re.MULTILINE)
    assert hold("show", "--json", image, repo=repo).result["audit"] is None


def test_an_image_is_named_by_its_beginning(hold, repo, image):
    assert hold("show", "--json", image[:8], repo=repo).result["image"] == image


def test_a_beginning_that_two_share_will_not_do(hold, repo, volume):
    beginnings = set()
    while len(beginnings) == len(images := hold("images", "--json", repo=repo).result["images"]):
        assert hold("backup", volume, repo=repo).code == 0
        beginnings = {each["image"][0] for each in hold("images", "--json", repo=repo).result["images"]}
        if len(images) > 16:
            break
    ids = [each["image"] for each in hold("images", "--json", repo=repo).result["images"]]
    shared = next(each[0] for each in ids if sum(other[0] == each[0] for other in ids) > 1)

    ran = hold("show", "--json", shared, repo=repo)

    assert ran.code == 1
    assert ran.result["error"]["id"] == "image.missing"


@pytest.mark.parametrize("name", ["ffffffffffffffff", "latest", "not an id", ""])
def test_an_image_that_is_not_there(hold, repo, name):
    ran = hold("show", "--json", name, repo=repo)

    assert ran.code in (1, 2)
    assert ran.result["error"]["id"] in ("image.missing", "usage")


def test_latest_needs_one_volume_or_its_name(hold, repo, make_volume):
    first, second = make_volume("a.img"), make_volume("b.img")
    hold("backup", first, repo=repo)
    newest = hold("backup", "--json", first, repo=repo).result["image"]

    assert hold("show", "--json", "latest", repo=repo).result["image"] == newest

    other = hold("backup", "--json", second, repo=repo).result["image"]

    assert hold("show", "latest", repo=repo).code == 1
    assert hold("show", "--json", "latest", "--volume", first, repo=repo).result["image"] == newest
    assert hold("show", "--json", "latest", "--volume", second, repo=repo).result["image"] == other


def test_restore_into_a_new_file_asks_nothing(hold, repo, volume, image, tmp_path):
    ran = hold("restore", image, "--to-file", tmp_path / "back.img", repo=repo)

    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^proof +read back and equal$", ran.out, re.MULTILINE)
    assert subprocess.run(["e2fsck", "-fn", tmp_path / "back.img"], capture_output=True).returncode == 0


def test_restore_says_what_fsck_found(hold, repo, image, tmp_path):
    ran = hold("restore", image, "--to-file", tmp_path / "back.img", "--fsck", repo=repo)

    assert ran.code == 0
    assert "clean: its check found nothing" in ran.out


def test_restore_without_proof_says_so(hold, repo, image, tmp_path):
    ran = hold("restore", "--json", image, "--to-file", tmp_path / "back.img", "--no-proof", repo=repo)

    assert (ran.code, ran.result["proved"]) == (0, False)


def test_restore_over_something_needs_a_yes(hold, repo, volume, image):
    before = volume.read_bytes()
    with volume.open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"changed" * 1000)
    changed = volume.read_bytes()

    refused = hold("restore", image, "--to", volume, repo=repo)
    assert refused.code == 1
    assert "with --yes" in refused.err
    assert volume.read_bytes() == changed

    agreed = hold("restore", image, "--to", volume, "--yes", repo=repo)
    assert agreed.code == 0
    assert volume.read_bytes() == before


def test_restore_over_something_with_json_needs_a_yes(hold, repo, volume, image, published):
    refused = hold("restore", "--json", image, "--to", volume, repo=repo)
    agreed = hold("restore", "--json", image, "--to", volume, "--yes", repo=repo)

    [unanswered] = [line for line in refused.lines if line["event"] == "question"]
    [answered] = [line for line in agreed.lines if line["event"] == "question"]
    assert (refused.code, unanswered["id"], unanswered["answer"]) == (1, "restore.overwrite", None)
    assert refused.result["error"]["id"] == "declined"
    assert (agreed.code, answered["answer"]) == (0, "yes")
    for line in (unanswered, answered):
        published("events")(line)


def test_verify_finds_nothing_and_says_how_deep_it_looked(hold, repo, image):
    lists = hold("verify", repo=repo)
    data = hold("verify", image[:10], "--read-data", repo=repo)

    assert (lists.code, data.code) == (0, 0)
    assert "--read-data reads every stored byte" in lists.out
    assert re.search(r"^depth +every stored byte$", data.out, re.MULTILINE)


def test_verify_finds_damage_and_exits_with_4(hold, repo, image, corrupt, published):
    corrupt()

    told = hold("verify", "--read-data", repo=repo)
    data = hold("verify", "--read-data", "--json", repo=repo)

    assert told.code == data.code == 4
    assert "damaged: " in told.out
    assert f"needed by image {image}" in told.out
    published("result-verify")(data.result)
    assert data.result["hurt_images"] == [image]
    assert data.result["error"]["id"] == "repository.damaged"


def test_restore_of_a_damaged_image_exits_with_4(hold, repo, image, corrupt, tmp_path):
    corrupt()

    ran = hold("restore", "--json", image, "--to-file", tmp_path / "back.img", repo=repo)

    assert (ran.code, ran.result["error"]["id"]) == (4, "repository.damaged")


def test_delete_needs_a_yes(hold, repo, image):
    assert hold("delete", image, repo=repo).code == 1
    assert len(hold("images", "--json", repo=repo).result["images"]) == 1

    ran = hold("delete", image, "--yes", repo=repo)

    assert ran.code == 0
    assert f"deleted image {image}" in ran.out
    assert hold("images", "--json", repo=repo).result["images"] == []


def test_map_agrees_with_what_backup_takes(hold, repo, volume):
    text = hold("map", "--bytes", volume)
    data = hold("map", "--json", volume)
    [found] = data.lines

    assert text.code == data.code == 0
    assert f"{found['used_size']}, " in text.out
    assert f"in {len(found['extents'])} extents" in text.out
    assert sum(length for _, length in found["extents"]) == found["used_size"]
    assert found["used_size"] == hold("backup", "--json", volume, repo=repo).result["used_size"]


def test_map_of_what_holds_no_file_system(hold, tmp_path):
    noise = tmp_path / "noise"
    noise.write_bytes(os.urandom(1 << 20))

    [found] = hold("map", "--json", noise).lines

    assert found["filesystem"] is None
    assert found["whole_volume_because"]
    assert found["extents"] == [[0, 1 << 20]]


def test_volumes_are_listed(hold):
    ran = hold("volumes", "--bytes")

    assert ran.code == 0
    assert ran.out.startswith(("VOLUME ", "no volumes"))


def test_providers_are_listed(hold):
    ran = hold("providers")

    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^storage +[0-9.]+ +holdstill-storage +works +.*storage_target", ran.out, re.MULTILINE)


def test_a_target_is_checked(hold, tmp_path):
    ran = hold("target", "check", tmp_path)

    assert ran.code == 0
    assert re.search(r"^race +ok ", ran.out, re.MULTILINE)


def test_a_target_that_cannot_be(hold):
    ran = hold("target", "check", "carrier-pigeon://coop/7")

    assert ran.code == 1
    assert "carrier-pigeon" in ran.err


def test_recover_finds_nothing(hold):
    assert hold("recover").out == "nothing was held\n"


def test_the_repository_is_named_either_way_and_the_option_wins(hold, repo, tmp_path):
    assert hold("images", "--repo", repo).code == 0
    assert hold("images", repo=repo).code == 0
    assert hold("images", "--repo", repo, repo=tmp_path / "other").code == 0

    (tmp_path / "other").mkdir()
    ran = hold("images", "--json", repo=tmp_path / "other")
    assert (ran.code, ran.result["error"]["id"]) == (1, "repository.missing")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command_and_option(hold, shell):
    ran = hold("completion", shell)

    assert (ran.code, ran.err) == (0, "")
    for word in ["backup", "target", "check", "gap-size", "on-read-error", "to-file", "read-data"]:
        assert word in ran.out, word


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["holdstill", "ba"], {"backup"}),
        (["holdstill", "target", ""], {"check"}),
        (["holdstill", "backup", "--mode", "s"], {"snapshot", "static"}),
        (["holdstill", "restore", "--to"], {"--to", "--to-file", "--to-new-lv"}),
        (["holdstill", "map", "/et"], {"/etc"}),
    ],
)
def test_bash_completes(hold, tmp_path, typed, expected):
    script = tmp_path / "completion"
    script.write_text(hold("completion", "bash").out)
    words = " ".join(f"'{word}'" for word in typed)
    ask = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _shtab_holdstill; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )

    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == expected


def test_a_resumed_restore_says_how_much_was_there(hold, repo, image, tmp_path):
    target = tmp_path / "target"
    assert hold("restore", image, "--to-file", target, repo=repo).code == 0

    ran = hold("--yes", "restore", image, "--to", target, "--resume", repo=repo)

    assert ran.code == 0
    size = target.stat().st_size
    assert f"kept         {size // (1 << 20)}.0 MiB of {size // (1 << 20)}.0 MiB was there already" in ran.out
    told = hold("--yes", "restore", image, "--to", target, "--resume", "--json", repo=repo).result
    assert (told["kept_size"], told["written_size"]) == (size, 0)


def test_a_backup_after_one_that_was_killed_says_what_was_there(hold, repo, volume, tmp_path):
    job = (processes.back_up, str(repo), str(volume), str(tmp_path / "state"))
    assert hold("init", repo=tmp_path / "other").code == 0
    calm = (job[0], str(tmp_path / "other"), *job[2:])
    total = processes.run_until(processes.Point(calls=("link",)), *calm).calls
    assert processes.run_until(processes.Point(total - 1, ("link",)), *job).killed, "all is stored, nothing committed"

    ran = hold("backup", volume, repo=repo)

    assert "was stored already, by a run that ended without an image" in ran.out
    assert "0 new chunks" in ran.out
