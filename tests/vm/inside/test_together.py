"""Several volumes held together, on real LVM."""

from __future__ import annotations

import os
from pathlib import Path

from holdstill import BackupRequest
from holdstill.errors import NoProvider
from holdstill.model.events import StageStarted
from holdstill.model.volume import Mode
from holdstill_testing.conversations import Agreeing


def requests(volumes, *names, **more):
    return [BackupRequest(volume=volumes.path(name), mode=Mode.SNAPSHOT, **more) for name in names]


def test_all_are_held_before_a_byte_is_read(volumes, bench):
    contents = {}
    for name in ("one", "two"):
        contents[name] = os.urandom(1 << 20) + bytes(15 << 20)
        Path(volumes.make(name, "16m")).write_bytes(contents[name])
    stages = []

    class Watching(Agreeing):
        def tell(self, event):
            super().tell(event)
            if isinstance(event, StageStarted):
                held = len([name for name in volumes.names() if name.startswith("holdstill-")])
                stages.append((event.stage, held))

    answers = bench.engine.backup_together(bench.url, requests(volumes, "one", "two"), Watching())

    assert {held for stage, held in stages if stage == "hold"} == {0, 1}
    assert [held for stage, held in stages if stage in ("survey", "read")] == [2, 2, 1, 1]
    assert [Path(answer.volume.path).name for answer in answers] == ["one", "two"]
    for name, answer in zip(("one", "two"), answers, strict=True):
        assert any("2 held together" in note for note in answer.notes)
        assert bench.restored(answer.image).read_bytes() == contents[name]
    assert volumes.names() == {"one", "two"}


def test_if_one_cannot_be_held_there_is_no_image_of_any(volumes, bench, refused):
    volumes.make("one", "16m")
    volumes.make("two", None, None, "-l", "90%FREE")

    error = refused(
        bench.engine.backup_together, bench.url, requests(volumes, "one", "two", cache_size="100%"), bench.talk
    )

    assert isinstance(error, NoProvider)
    assert bench.images() == []
    assert volumes.names() == {"one", "two"}
    assert bench.open_lines() == []
