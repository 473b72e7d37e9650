"""What programs read: every line on standard output is published JSON, and there is nothing else."""

import json
import os

import attrs
import pytest

from holdstill.model import events

TAKEN_FIELDS = ["image", "volume", "host", "filesystem", "mode", "consistency", "whole_volume_because"]
SIZE_FIELDS = ["volume_size", "used_size", "read_size", "stored_size", "image_size", "cache_peak"]
BACKUP_FIELDS = [*TAKEN_FIELDS, *SIZE_FIELDS, "new_chunks", "reused_chunks", "seconds"]
MAP_FIELDS = ["volume", "filesystem", "block_size", "volume_size", "used_size", "whole_volume_because", "extents"]


@pytest.fixture
def checked(hold, repo, published):
    """Run with --json and hold every line against its schema."""

    def run(schema, *words):
        ran = hold(*words, "--json", repo=repo)
        *before, last = ran.lines
        for line in before:
            published("events")(line)
        published(schema)(last)
        assert ran.err == ""
        assert ran.out.isascii()
        return ran

    return run


def test_every_command_keeps_to_its_schema(checked, volume, tmp_path):
    assert checked("result-init", "init", "--repo", tmp_path / "another").code == 0
    image = checked("result-backup", "backup", volume).result["image"]
    assert checked("result-backup", "backup", "--dry-run", volume).result["image"] is None
    assert checked("result-images", "images").result["images"][0]["image"] == image
    assert checked("result-show", "show", image).result["volume_facts"]["path"] == str(volume)
    assert checked("result-restore", "restore", image, "--to-file", tmp_path / "back.img").result["proved"]
    mended = checked("result-restore", "restore", image, "--to-file", tmp_path / "mended.img", "--fsck").result
    assert (mended["fsck"]["state"], mended["mounted"]) == ("clean", [])
    assert checked("result-verify", "verify", "--read-data").result["images"] == [image]
    assert checked("map", "map", volume).code == 0
    assert checked("result-volumes", "volumes").code == 0
    assert checked("preferences", "preferences", volume).code == 0
    assert checked("result-preferences", "preferences", "set", "mode=auto", volume).result["value"] == "auto"
    assert {"storage", "platforms"} <= {
        each["name"] for each in checked("result-providers", "providers").result["providers"]
    }
    assert checked("result-providers", "providers", "--check").result["checks"]
    assert checked("result-target-check", "target", "check", tmp_path / "trial").result["properties"]["put_if_absent"]
    assert checked("result-recover", "recover").result["recovered"] == []
    other = tmp_path / "another"
    assert checked("result-copy", "copy", "--to-repo", other, "--dry-run").result["copies"][0]["copy"] is None
    copy = checked("result-copy", "copy", "--to-repo", other).result["copies"][0]
    assert checked("result-show", "--repo", other, "show", copy["copy"]).result["origin"]["image"] == image
    assert checked("result-delete", "delete", image, "--yes").result["image"] == image


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("result-backup", ["backup", "/does/not/exist"]),
        ("result-backup", ["backup", "/does/not/exist", "/nor/does/this"]),
        ("result-show", ["show", "abcdef"]),
        ("result-delete", ["delete", "abcdef"]),
        ("result-restore", ["restore", "abcdef", "--to", "/does/not/exist"]),
        ("result-verify", ["verify", "abcdef"]),
        ("result-copy", ["copy", "abcdef", "--to-repo", "/does/not/exist"]),
        ("result-map", ["map", "/does/not/exist"]),
        ("result-init", ["init"]),
        ("result-target-check", ["target", "check", "nonsense://x"]),
    ],
)
def test_every_failure_is_a_result(hold, repo, published, schema, words):
    ran = hold(*words, "--json", repo=repo)

    published("result-show" if schema == "result-map" else schema)(ran.result)
    assert ran.result["ok"] is False
    assert ran.code == ran.result["error"]["exit_code"] != 0
    assert ran.err == ""


def test_a_backup_has_the_promised_fields(hold, repo, volume):
    result = hold("backup", "--json", volume, repo=repo).result

    assert list(result) == ["event", "ok", *BACKUP_FIELDS, "resumed_size", "unread", "notes", "warnings"]
    assert result["volume"] == str(volume)
    assert result["filesystem"] == "ext4"


def test_a_map_has_the_promised_fields_on_one_line(hold, volume):
    ran = hold("map", "--json", volume)

    assert ran.out.count("\n") == 1
    assert list(json.loads(ran.out)) == MAP_FIELDS


def test_the_second_backup_of_the_same_stores_nothing_new(hold, repo, volume, image):
    again = hold("backup", "--json", volume, repo=repo).result

    assert again["new_chunks"] == 0
    assert again["reused_chunks"] > 0
    assert again["image"] != image


@pytest.mark.parametrize("kind", [events.StageStarted, events.Progress, events.Warned, events.Noted])
def test_every_event_is_published_with_every_field(kind, published):
    values = {"str": "x", "int": 1}
    event = kind(**{field.name: values[field.type] for field in attrs.fields(kind)})

    published("events")({"event": event.name, **attrs.asdict(event)})


def test_extents_cut_by_windows_are_one_again():
    from holdstill import Extents
    from holdstill_cli.commands.map import joined

    windows = [
        Extents.of((0, 10), (20, 10)),
        Extents.none(),
        Extents.of((30, 5)),
        Extents.of((35, 1), (40, 1), (50, 2)),
        Extents.of((60, 1)),
    ]

    runs = [pair for starts, lengths in joined(windows) for pair in zip(starts, lengths, strict=True)]

    assert runs == [(0, 10), (20, 16), (40, 1), (50, 2), (60, 1)]


def test_a_great_window_is_written_in_pieces():
    import numpy as np

    from holdstill import Extents
    from holdstill_cli.commands.map import joined

    starts = np.arange(100_000, dtype=np.int64) * 8192
    pieces = list(joined([Extents.from_arrays(starts, np.full_like(starts, 4096))]))

    assert max(len(piece) for piece, _ in pieces) < 20_000
    assert [start for piece, _ in pieces for start in piece] == starts.tolist()
    assert {length for _, lengths in pieces for length in lengths} == {4096}


def test_a_name_that_is_not_utf_8_is_valid_json(hold, repo, make_volume):
    volume = make_volume(b"odd\xff\x1b[2J.img")

    data = hold("backup", "--json", volume, repo=repo)
    text = hold("images", repo=repo)
    shown = hold("map", volume)
    missing = hold("map", os.fsencode(volume) + b"\xfe")

    assert data.code == text.code == shown.code == 0
    assert data.result["volume"].endswith("odd\\xff\x1b[2J.img")
    assert "\\ud" not in data.out
    for ran in (text, shown):
        assert r"odd\xff\x1b[2J.img" in ran.out
        assert "\x1b" not in ran.out
    assert missing.code == 1
    assert r"odd\xff\x1b[2J.img\xfe" in missing.err


def test_a_restore_may_go_to_a_name_that_is_not_utf_8(hold, repo, image, tmp_path):
    place = os.fsencode(tmp_path) + b"/b\xffck.img"

    assert hold("restore", image, "--to-file", place, repo=repo).code == 0
    assert os.path.exists(place)
