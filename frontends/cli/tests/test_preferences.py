"""Preferences in real runs: shown, set, obeyed by backup and restore, recorded in images, refused to root."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill import BackupRequest, Conversation, Engine, OnReadError, RestoreRequest
from holdstill.preferences.schema import schema
from holdstill_cli.main import main


@pytest.fixture
def options(environment):
    """The options file of this test."""
    return Path(environment["HOLDSTILL_OPTIONS"])


@pytest.fixture
def shown(hold, published):
    """What ``preferences --json`` prints, held against its schema."""

    def show(*words):
        ran = hold("preferences", *words, "--json")
        assert (ran.code, ran.err) == (0, "")
        (line,) = ran.lines
        published("preferences")(line)
        return line

    return show


def test_the_object_is_exactly_what_was_promised(shown, options, volume):
    options.write_text(f'colour = 1\nmode = "dynamic"\n[volume."{volume}"]\nproof = false\ncolour = 2\n')

    general, own = shown(), shown(volume)

    assert list(general) == ["volume", "preferences", "excluded", "domain", "unknown", "without_effect"]
    assert list(general["preferences"]) == [each.name for each in schema()]
    assert (general["volume"], own["volume"]) == (None, str(volume))
    assert general["unknown"] == own["unknown"] == ["colour"]
    assert general["preferences"]["mode"] == {"value": "dynamic", "from": str(options)}
    assert general["preferences"]["proof"] == {"value": True, "from": "default"}
    assert own["preferences"]["proof"] == {"value": False, "from": f'{options} [volume."{volume}"]'}


def test_a_volume_that_is_not_here_is_known_by_name(shown, options):
    options.write_text('[volume."/dev/not/here"]\nmode = "static"\n[volume."dm:LVM-1"]\nmode = "freeze"\n')

    assert shown("/dev/not/here")["preferences"]["mode"]["value"] == "static"
    assert shown("dm:LVM-1")["preferences"]["mode"]["value"] == "freeze"
    assert shown("/dev/nor/this")["preferences"]["mode"]["value"] == "auto"


def test_people_see_a_table_and_what_is_unknown(hold, options):
    options.write_text("\ncolour = 1\nproof = false\n")

    ran = hold("preferences")

    assert ran.code == 0
    assert ["proof", "false", str(options)] in [line.split() for line in ran.out.splitlines()]
    assert f"no such preference: colour ({options}:2); it has no effect" in ran.out


def test_set_keeps_comments_and_order(hold, options, volume, published):
    text = f'# ours\nproof = true  # always\n\ncolour = "red"\n\n[volume."{volume}"]  # precious\nmode = "auto"\n'
    options.write_text(text)

    ran = hold("preferences", "set", "mode=dynamic", volume, "--json")
    assert ran.code == 0
    published("result-preferences")(ran.result)
    assert ran.result["from"] == f'{options} [volume."{volume}"]'
    assert hold("preferences", "set", "proof=no").code == 0
    assert hold("preferences", "set", "gap-size=1M").code == 0

    changed = text.replace('"auto"', '"dynamic"').replace("= true  #", "= false  #")
    assert options.read_text() == changed.replace('"red"\n', '"red"\ngap-size = 1048576\n')
    assert hold("preferences", "set", "mode=dynamic", volume).out.startswith("mode = dynamic  (")


def test_a_setting_that_something_above_overrules_is_a_warning(hold, environment, tmp_path, monkeypatch, options):
    """Root sets the host's file; here the user's own file plays the one above."""
    monkeypatch.setenv("HOLDSTILL_OPTIONS", str(options))
    options.write_text("")

    class Above(Engine):
        def preferences(self, volume=None, options=None):
            return super().preferences(volume, {"mode": "static"})

    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["preferences", "set", "mode=dynamic"], Above) == 3
    assert "mode is static nevertheless" in err.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set"], "NAME=VALUE"),
        (["convert"], "convert FILE"),
        (["convert", "/a", "/b"], "convert FILE"),
        (["set", "mode"], "NAME=VALUE"),
        (["set", "mode=auto", "/a", "/b"], "NAME=VALUE"),
        (["/a", "/b"], "one volume"),
        (["set", "mod=auto"], "did you mean mode"),
        (["set", "mode=hot"], "snapshot, static"),
        (["set", "freeze-limit=0"], "at most 3600"),
        (["set", "presnapshotcmd='"], "quotes"),
        (["set", "=x"], "there are:"),
    ],
)
def test_what_cannot_be_set_is_wrong_usage(hold, options, published, words, said):
    ran = hold("preferences", *words)
    assert ran.code == 2
    assert said in ran.err
    assert options.read_text() == ""

    published("result-preferences")(hold("preferences", *words, "--json").result)


def test_a_wrong_file_stops_everything_and_names_the_line(hold, options, repo, volume):
    options.write_text('# x\nmode = "hot"\n')

    for words in (["preferences"], ["backup", volume], ["preferences", "set", "proof=no"]):
        ran = hold(*words, repo=repo)
        assert ran.code == 2
        assert f"{options}:2: mode: 'hot' is not one of its values" in ran.err
        assert "auto, snapshot, static, freeze, offline, dynamic" in ran.err
    assert hold("images", repo=repo).code == 0


def test_a_backup_obeys_and_its_image_records(hold, options, repo, volume):
    options.write_text(f'gap-size = 0\nmode = "auto"\n[volume."{volume}"]\nmode = "dynamic"\n')

    by_section = hold("backup", volume, "--json", repo=repo).result
    by_command = hold("backup", volume, "--mode", "offline", "--gap-size", "64K", "--json", repo=repo).result

    assert (by_section["mode"], by_command["mode"]) == ("dynamic", "offline")
    assert "gap size" in by_section["whole_volume_because"]
    assert by_command["whole_volume_because"] is None
    recorded = hold("show", by_section["image"], "--json", repo=repo).result["preferences"]
    assert set(recorded) == {each.name for each in schema()}
    assert (recorded["mode"], recorded["gap-size"], recorded["proof"]) == ("dynamic", "0", "true")
    assert hold("show", by_command["image"], "--json", repo=repo).result["preferences"]["mode"] == "offline"


def test_every_option_of_the_command_line_is_above_the_file(hold, options, repo, volume):
    """Each preference that drives a backup has its option, of the same name."""
    given = {
        "mode": "offline",
        "gap-size": "4096",
        "limit-rate": "1073741824",
        "on-read-error": "zero",
        "on-no-snapshot": "dynamic",
        "snapshot-provider": "lvm2",
        "provider-settings": "jfs2.extents=fscntl jfs2.snapshot=internal",
        "snapshot-cache-size": "40%",
        "retention-class": "GOLD",
        "static-method": "unmount",
        "snapshot-cache-growth": "false",
        "changed-blocks": "true",
        "freeze-limit": "2.5",
        "presnapshotcmd": "true 'a b'",
        "postsnapshotcmd": "true",
        "command-timeout": "30",
    }
    assert set(given) == {each.name for each in schema() if each.drives.startswith("BackupRequest.")}
    options.write_text("presnapshotcmd = 'false'\nfreeze-limit = 7\ncommand-timeout = 9\n")

    switches = {"snapshot-cache-growth": "--no-snapshot-cache-growth", "changed-blocks": "--changed-blocks"}
    words = list(switches.values())
    words += [word for name, value in given.items() if name not in switches for word in (f"--{name}", value)]
    image = hold("backup", volume, *words, "--json", repo=repo).result["image"]

    assert hold("show", image, "--json", repo=repo).result["preferences"] == given | {"proof": "true"}


def test_what_is_unknown_is_noted_and_stops_nothing(hold, options, repo, volume):
    options.write_text("colour = 1\n")

    ran = hold("backup", volume, "--json", repo=repo)

    assert ran.code == 0
    notes = [(line["message"], line["subject"]) for line in ran.lines if line["event"] == "note"]
    assert ("there is no preference 'colour'; it has no effect", f"{options}:1") in notes


def test_a_setting_of_nobody_is_refused_before_anything_is_held(hold, options, repo, volume, image, tmp_path):
    options.write_text("provider-settings = 'jsf2.extents=fscntl'\n")

    ran = hold("backup", volume, "--json", "--presnapshotcmd", f"touch {tmp_path}/held", repo=repo)

    assert ran.code == 2
    assert ran.result["error"]["message"].startswith("no provider called 'jsf2' is installed")
    assert ran.result["error"]["next_step"] == "did you mean jfs2.extents?"
    assert not (tmp_path / "held").exists()
    assert "not honoured: no provider called 'jsf2'" in hold("preferences").out
    assert hold("restore", image, "--to-file", tmp_path / "back.img", repo=repo).code == 0


def test_a_restore_obeys(hold, options, repo, image, tmp_path):
    options.write_text("proof = false\n")

    ran = hold("restore", image, "--to-file", tmp_path / "one.img", "--json", repo=repo)
    proved = hold("restore", image, "--to-file", tmp_path / "two.img", "--proof", "--json", repo=repo)
    options.write_text("")
    default = hold("restore", image, "--to-file", tmp_path / "three.img", "--json", repo=repo)
    unproved = hold("restore", image, "--to-file", tmp_path / "four.img", "--no-proof", "--json", repo=repo)

    assert [each.result["proved"] for each in (ran, proved, default, unproved)] == [False, True, True, False]


def test_an_api_user_may_name_the_file_and_leave_the_rest_open(repo, volume, tmp_path, monkeypatch):
    monkeypatch.delenv("HOLDSTILL_OPTIONS")
    monkeypatch.setenv("HOME", str(tmp_path))
    other = tmp_path / "other.toml"
    other.write_text("mode = 'dynamic'\nproof = false\non-read-error = 'zero'\n")
    other.chmod(0o600)
    engine = Engine(options=str(other))

    saved = engine.backup(str(repo), BackupRequest(str(volume)), Conversation())
    told = engine.backup(str(repo), BackupRequest(str(volume), on_read_error=OnReadError.FAIL), Conversation())
    back = engine.restore(str(repo), RestoreRequest(saved.image, to_file=str(tmp_path / "b")), Conversation())

    assert (saved.mode, back.proved) == ("dynamic", False)
    recorded = [engine.show(str(repo), each.image).preferences["on-read-error"] for each in (saved, told)]
    assert recorded == ["zero", "fail"]
    assert engine.preferences(options={"mode": "static"}).settings["mode"].origin == "command"
    assert engine.set_preference("proof", value=True) == str(other)
    assert engine.preferences()["proof"] is True


def test_an_editor_can_be_drawn():
    table = Engine().preference_schema()

    snapshot = [each.name for each in table if each.group == "snapshot"]
    assert {"mode", "on-no-snapshot", "presnapshotcmd", "freeze-limit"} <= set(snapshot)
    assert all(each.help.endswith(".") and each.allowed for each in table)


@pytest.mark.root
def test_root_refuses_what_others_could_have_written(spawn, options, repo, volume):
    options.write_text("presnapshotcmd = 'touch /tmp/owned'\n")
    options.chmod(0o666)

    ran = spawn("backup", volume, repo=repo)

    assert ran.code == 1
    assert f"{options} is writable by others" in ran.err
    assert "chmod go-w" in ran.err
    options.chmod(0o600)
    assert spawn("preferences").code == 0


@pytest.mark.root
def test_a_mount_and_its_device_are_the_same_volume(shown, options, volume, tmp_path, hold):
    """A real loop device, mounted: the section may name any of device, mount point and backing file."""
    mount = tmp_path / "mnt"
    mount.mkdir()
    subprocess.run(["mount", "-o", "loop", volume, mount], check=True)
    try:
        device = subprocess.run(
            ["findmnt", "-no", "SOURCE", mount], check=True, capture_output=True, text=True
        ).stdout.strip()
        for section in (mount, device):
            options.write_text(f'[volume."{section}"]\nmode = "dynamic"\n')
            for named in (mount, device):
                assert shown(named)["preferences"]["mode"]["value"] == "dynamic", (section, named)
        assert hold("preferences", "set", "mode=static", mount).code == 0
        assert options.read_text() == f'[volume."{device}"]\nmode = "static"\n'
    finally:
        subprocess.run(["umount", mount], check=True)


def test_others_use_their_own_file(spawn, environment, tmp_path, monkeypatch):
    """Without ``HOLDSTILL_OPTIONS``: the file in the home is read above the host's."""
    monkeypatch.delenv("HOLDSTILL_OPTIONS")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    own = tmp_path / "home/.config/holdstill/holdstill.toml"
    own.parent.mkdir(parents=True, mode=0o755)
    os.chmod(tmp_path / "home", 0o755)
    own.write_text("mode = 'dynamic'\n")
    own.chmod(0o600)

    answer = spawn("preferences", "--json").lines[-1]

    assert answer["preferences"]["mode"] == {"value": "dynamic", "from": str(own)}
