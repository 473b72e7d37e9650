"""What takes long is told of, again and again, and no longer when it is over."""

import threading

import pytest

from holdstill.model.events import Warned
from holdstill.pipeline.patience import patiently
from holdstill.spi.conversation import Conversation


class Ear(Conversation):
    def __init__(self):
        self.told = []
        self.twice = threading.Event()

    def tell(self, event):
        self.told.append(event)
        if len(self.told) >= 2:
            self.twice.set()


def test_what_takes_long_is_told_of_until_it_is_over():
    ear = Ear()
    with patiently(ear, "holding it", "/home", every=0.01):
        assert ear.twice.wait(60)
    told = len(ear.told)
    assert all(isinstance(event, Warned) and (event.id, event.subject) == ("hold.slow", "/home") for event in ear.told)
    assert ear.told[0].message.startswith("holding it takes long;")
    assert len(ear.told) == told
    assert not any(thread.name == "holdstill-patience" for thread in threading.enumerate())


def test_what_is_quick_is_not_and_errors_pass():
    ear = Ear()
    with pytest.raises(KeyError), patiently(ear, "holding it", "/home"):
        raise KeyError
    assert ear.told == []
    assert not any(thread.name == "holdstill-patience" for thread in threading.enumerate())
