"""The journal: durable before it is held, readable after any crash, never another run's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.held.journal import Journal

DATA = {"vg": "vg0", "name": "holdstill-1"}


def left_by_a_crash(folder: Path, content: bytes) -> Path:
    path = folder / "deadbeefdeadbeef.run"
    path.write_bytes(content)
    return path


def lines_of(folder: Path, *actions) -> bytes:
    """What a journal holds after these actions."""
    journal = Journal.begin(folder)
    for action in actions:
        action(journal)
    content = next(folder.glob("*.run")).read_bytes()
    for path in folder.glob("*.run"):
        path.unlink()
    os.close(journal._descriptor)
    return content


def test_what_is_held_is_found_again_latest_first(tmp_path):
    content = lines_of(
        tmp_path,
        lambda j: j.hold("lvm2", DATA, by_hand="lvremove"),
        lambda j: j.hold("mount", {"path": "/a b"}, by_hand="umount", version=2),
    )
    left_by_a_crash(tmp_path, content)

    (journal,) = Journal.orphans(tmp_path)
    with journal:
        assert [(held.kind, held.data, held.by_hand, held.version) for held in journal.held] == [
            ("mount", {"path": "/a b"}, "umount", 2),
            ("lvm2", DATA, "lvremove", 1),
        ]


def test_an_update_narrows_and_a_drop_crosses_out(tmp_path):
    def work(journal):
        first = journal.hold("lvm2", DATA, by_hand="")
        journal.hold("lvm2", {"name": "other"}, by_hand="").drop()
        first.update(uuid="x-y")

    left_by_a_crash(tmp_path, lines_of(tmp_path, work))

    (journal,) = Journal.orphans(tmp_path)
    with journal:
        assert [held.data for held in journal.held] == [{**DATA, "uuid": "x-y"}]


def test_a_journal_with_nothing_open_goes_with_its_run(tmp_path):
    with Journal.begin(tmp_path) as journal:
        line = journal.hold("lvm2", DATA, by_hand="")
        line.drop()
        line.drop()

    assert list(tmp_path.iterdir()) == []


def test_a_journal_with_something_open_stays(tmp_path):
    with Journal.begin(tmp_path) as journal:
        journal.hold("lvm2", DATA, by_hand="")

    (orphan,) = Journal.orphans(tmp_path)
    with orphan:
        assert len(orphan.held) == 1
        orphan.drop(orphan.held[0].entry)
    assert list(Journal.orphans(tmp_path)) == []


def test_a_live_run_is_nobodys_orphan(tmp_path):
    with Journal.begin(tmp_path) as journal:
        journal.hold("lvm2", DATA, by_hand="")

        assert list(Journal.orphans(tmp_path)) == []


def test_a_killed_process_leaves_its_journal_to_recover(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from holdstill.held.journal import Journal\n"
        f"j = Journal.begin(Path({str(tmp_path)!r})); j.hold('k', {{'a': 'b'}}, by_hand='')\n"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert list(Journal.orphans(tmp_path)) == []
        process.send_signal(signal.SIGKILL)

    (orphan,) = Journal.orphans(tmp_path)
    with orphan:
        assert [held.data for held in orphan.held] == [{"a": "b"}]


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_torn_tail_loses_nothing_before_it_and_nothing_after(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("journal")
    whole = lines_of(
        folder,
        lambda j: j.hold("first", DATA, by_hand=""),
        lambda j: j.hold("second", DATA, by_hand=""),
    )
    kept = min(cut, len(whole))
    left_by_a_crash(folder, whole[:kept])
    expected = [kind for number, kind in ((1, "first"), (2, "second")) if whole[:kept].count(b"\n") >= number]

    (journal,) = Journal.orphans(folder)
    with journal:
        journal.hold("later", DATA, by_hand="")
        assert [held.kind for held in reversed(journal.held)] == [*expected, "later"]
    (again,) = Journal.orphans(folder)
    with again:
        assert [held.kind for held in reversed(again.held)] == [*expected, "later"]


@pytest.mark.parametrize("junk", [b"\n", b"nonsense\n", b"00000000 {}\n", b"\xff\xfe \x00\n", b"5 5\n" * 1000])
def test_damaged_lines_keep_nobody_from_being_undone(tmp_path, junk):
    whole = lines_of(tmp_path, lambda j: j.hold("first", DATA, by_hand=""))
    left_by_a_crash(tmp_path, junk + whole + junk)

    (journal,) = Journal.orphans(tmp_path)
    with journal:
        assert [held.kind for held in journal.held] == ["first"]


def test_a_run_killed_before_its_first_line_leaves_nothing_to_recover(tmp_path):
    left_by_a_crash(tmp_path, b"")

    for journal in Journal.orphans(tmp_path):
        with journal:
            assert journal.held == ()
    assert list(tmp_path.iterdir()) == []


def test_runs_begin_while_others_clear_away(tmp_path):
    """Between making its file and locking it a run may be taken for a dead one: it begins anew, with another file."""
    stop = threading.Event()

    def clear_away():
        while not stop.is_set():
            for journal in Journal.orphans(tmp_path):
                journal.close()

    others = [threading.Thread(target=clear_away) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for _ in range(300):
            with Journal.begin(tmp_path) as journal:
                journal.hold("k", {}, by_hand="").drop()
                assert (tmp_path / f"{journal.run}.run").exists()
    finally:
        stop.set()
        for other in others:
            other.join()
