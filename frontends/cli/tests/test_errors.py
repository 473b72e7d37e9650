"""Every error becomes a sentence, a next step and its exit code. Stand-ins raise what a real engine rarely does."""

import contextlib
import datetime as dt
import inspect
import json
import os

import pytest

import holdstill.errors
from holdstill.errors import HoldstillError, ReadFault, TargetLocked
from holdstill_cli.main import main

KINDS = [kind for _, kind in inspect.getmembers(holdstill.errors, inspect.isclass) if issubclass(kind, HoldstillError)]


class Raises:
    """An engine whose every call raises the same."""

    def __init__(self, fault):
        self.fault = fault

    def __getattr__(self, name):
        raise self.fault


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDSTILL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOLDSTILL_REPO", "/nowhere")
    monkeypatch.delenv("HOLDSTILL_DEBUG", raising=False)


def _make(kind):
    more = {ReadFault: {"offset": 4096, "length": 512}, TargetLocked: {"until": dt.datetime.now(dt.UTC)}}
    return kind("it went wrong", subject="/dev/v", next_step="Do this.", **more.get(kind, {}))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_every_kind_is_told_with_its_exit_code(kind, capsys):
    code = main(["images"], lambda: Raises(_make(kind)))

    assert code == kind.exit_code
    assert capsys.readouterr() == ("", "holdstill: /dev/v: it went wrong\n  Do this.\n")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_every_kind_is_a_result_line(kind, capsys, published):
    code = main(["images", "--json"], lambda: Raises(_make(kind)))

    out, err = capsys.readouterr()
    line = json.loads(out)
    assert (code, err) == (kind.exit_code, "")
    published("result-images")(line)
    assert line["error"] == {
        "id": kind.id,
        "message": "it went wrong",
        "subject": "/dev/v",
        "next_step": "Do this.",
        "exit_code": kind.exit_code,
    }


@pytest.mark.parametrize(
    ("fault", "id_", "sentence"),
    [
        (MemoryError(), "memory", "there is not enough memory"),
        (OSError(5, "Input/output error", "/some/where"), "system", "input/output error"),
        (PermissionError(13, "Permission denied", b"/some/\xff"), "system", "permission denied"),
        (OSError("odd"), "system", "odd"),
        (TimeoutError(), "system", "timeouterror"),
    ],
)
def test_what_the_system_does_is_a_sentence(fault, id_, sentence, capsys, tmp_path):
    assert main(["volumes", "--json"], lambda: Raises(fault)) == 1

    out, err = capsys.readouterr()
    assert (json.loads(out)["error"]["id"], json.loads(out)["error"]["message"]) == (id_, sentence)
    assert err == ""
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "fault", [KeyError("x"), AssertionError(), RecursionError("deep"), UnicodeDecodeError("a", b"", 0, 1, "b")]
)
def test_a_mistake_of_ours_is_one_line_and_a_file(fault, capsys, tmp_path):
    assert main(["volumes"], lambda: Raises(fault)) == 1

    out, err = capsys.readouterr()
    [report] = (tmp_path / "state/bugs").iterdir()
    assert out == ""
    assert err.splitlines()[0].startswith(f"holdstill: a mistake in holdstill ({type(fault).__name__}")
    assert f"please report it, with the file {report}" in err
    assert "Traceback" not in err
    assert "Traceback" in report.read_text()
    assert type(fault).__name__ in report.read_text()


def test_a_mistake_is_told_where_no_file_can_be_written(capsys, monkeypatch):
    monkeypatch.setenv("HOLDSTILL_STATE", "/dev/null/state")

    assert main(["volumes"], lambda: Raises(KeyError("x"))) == 1
    assert "HOLDSTILL_DEBUG=1" in capsys.readouterr().err


def test_whoever_debugs_gets_the_traceback(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOLDSTILL_DEBUG", "1")

    assert main(["volumes"], lambda: Raises(KeyError("x"))) == 1
    assert "Traceback" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_an_engine_that_cannot_be_made_is_told(capsys):
    def make():
        raise HoldstillError("the state folder cannot be made", subject="/x")

    assert main(["volumes"], make) == 1
    assert capsys.readouterr().err == "holdstill: /x: the state folder cannot be made\n"


def test_an_error_in_the_middle_of_a_map_goes_to_standard_error(capsys):
    from contextlib import contextmanager
    from types import SimpleNamespace

    from holdstill import Extents, MapResult, VolumeFacts
    from holdstill.model.volume import VolumeKind

    def windows():
        yield Extents.of((0, 4096))
        yield Extents.of((8192, 4096))
        raise ReadFault("cannot be read", offset=1 << 20, length=4096, subject="/dev/v")

    class Breaks:
        @contextmanager
        def map(self, volume):
            facts = VolumeFacts(path=volume, device=volume, kind=VolumeKind.BLOCK, size=1 << 30)
            yield SimpleNamespace(result=MapResult(facts, None, 4096, 8192, None), windows=windows)

    code = main(["map", "--json", "/dev/v"], Breaks)

    out, err = capsys.readouterr()
    assert code == 1
    assert out.endswith('"extents": [[0, 4096]')
    assert err == "holdstill: /dev/v: cannot be read\n"


def test_warnings_of_a_result_are_said_once_and_exit_with_3(capsys):
    from holdstill import RestoreResult, Warned

    class Warns:
        def restore(self, url, request, talk):
            talk.tell(Warned("image.unread", "three ranges are zero", "/dev/v"))
            return RestoreResult("a" * 32, "/dev/v", 1, 1, True, 0.5, (), ("three ranges are zero", "and it is larger"))

    code = main(["restore", "aa", "--to", "/dev/v"], Warns)

    err = capsys.readouterr().err
    assert code == 3
    assert err == "warning: /dev/v: three ranges are zero\nwarning: and it is larger\n"


@pytest.mark.parametrize("words", [["restore", "aa", "--to", "/dev/v"], ["restore", "aa", "--to", "/dev/v", "--json"]])
def test_warnings_exit_with_3_as_json_too(words, capsys):
    from holdstill import RestoreResult

    class Warns:
        def restore(self, url, request, talk):
            return RestoreResult("a" * 32, "/dev/v", 1, 1, True, 0.5, (), ("it is larger",))

    assert main(words, Warns) == 3


@pytest.mark.parametrize(
    ("state", "code"), [("removed", 0), ("absent", 0), ("refused", 1), ("busy", 1), ("unknown", 1)]
)
def test_what_is_still_held_is_not_done(state, code, capsys, published):
    from holdstill.spi.holds import UndoState

    class Recovers:
        def recover(self, talk):
            from holdstill.pipeline.recover import Recovered

            return [Recovered("r1", "lvm2.snapshot", "vg/snap", UndoState(state), "in use", "lvremove vg/snap")]

    assert main(["recover", "--json"], Recovers) == code
    line = json.loads(capsys.readouterr().out)
    published("result-recover")(line)
    assert line["recovered"][0]["state"] == state

    assert main(["recover"], Recovers) == code
    out, err = capsys.readouterr()
    assert out == f"{state}: lvm2.snapshot vg/snap (in use)\n"
    assert ("lvremove vg/snap" in err) == bool(code)


def test_standard_error_may_be_gone(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    gone = os.fdopen(write, "w")
    monkeypatch.setattr("sys.stderr", gone)

    assert main(["volumes"], lambda: Raises(HoldstillError("x"))) == 1

    with contextlib.suppress(BrokenPipeError):
        gone.close()
