"""A volume that is not there may only be asleep."""

from contextlib import ExitStack

import pytest

from holdstill.errors import VolumeMissing
from holdstill.model.events import Noted
from holdstill.pipeline.waking import find_awake
from holdstill.plugins.registry import Plugins
from holdstill.spi.activation import Activation
from holdstill.spi.still import HoldRequest
from holdstill_testing.conversations import Agreeing
from holdstill_testing.fakes.answering_plugin import Plugin
from holdstill_testing.fakes.recorded_holds import RecordedHolds


class Sleeper(Activation):
    """A file that is there while it is awake."""

    said = "it was woken"

    def __init__(self, path):
        self.path = path
        path.write_bytes(b"x" * 512)

    def put_back(self):
        self.path.unlink()


@pytest.fixture
def find(tmp_path):
    def find(path, *plugins, held, talk=None):
        request = HoldRequest("run", RecordedHolds())
        return find_awake(Plugins.of(*plugins), str(path), request, held, talk or Agreeing())

    return find


def test_it_is_awake_as_long_as_something_is_held(find, tmp_path):
    path, talk = tmp_path / "asleep", Agreeing()
    with ExitStack() as held:
        found = find(path, Plugin("waker", activate=lambda named: Sleeper(path)), held=held, talk=talk)
        assert found.facts.size == 512
        assert path.exists()
    assert not path.exists()
    assert [event.message for event in talk.told if isinstance(event, Noted)] == ["it was woken"]


def test_what_is_awake_is_left_alone(find, tmp_path):
    path, waker = tmp_path / "awake", Plugin("waker")
    path.write_bytes(b"x" * 512)
    with ExitStack() as held:
        find(path, waker, held=held)
    assert path.exists()
    assert "activate" not in [hook for hook, *_ in waker.asked]


def test_what_nobody_can_wake_is_missing(find, tmp_path):
    with ExitStack() as held, pytest.raises(VolumeMissing):
        find(tmp_path / "nowhere", Plugin("silent"), held=held)
