"""The user's commands: what is run, when, and what a failure means."""

import json

import pytest

from holdstill.errors import CommandFailed, UsageError
from holdstill.held.journal import Journal
from holdstill.pipeline.commands import OWED, Commands, settle
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import UndoState
from holdstill.spi.runner import Ran, Runner


class Recorder(Runner):
    def __init__(self, *codes, journal=None):
        self.codes = list(codes)
        self.argvs = []
        self.limits = []
        self.open_lines = []
        self.journal = journal

    def ask(self, argv, *, limit):
        self.argvs.append(tuple(argv))
        self.limits.append(limit)
        self.open_lines.append([held.kind for held in self.journal.held] if self.journal else [])
        code = self.codes.pop(0)
        return Ran(tuple(argv), code, "", "no such luck\n" if code else "")

    def change(self, argv):
        raise AssertionError("commands of the user have a limit")


@pytest.fixture
def journal(tmp_path):
    with Journal.begin(tmp_path) as journal:
        yield journal


def commands(before="", after=""):
    return Commands(tuple(before.split()), tuple(after.split()), 7.0)


def test_both_in_their_order_and_the_second_written_down_first(journal):
    runner = Recorder(0, 0, journal=journal)
    both = commands("stop db", "start db")
    both.run_before(journal, runner)
    both.run_after(runner, Conversation())
    both.run_after(runner, Conversation())
    assert runner.argvs == [("stop", "db"), ("start", "db")]
    assert runner.limits == [7.0, 7.0]
    assert runner.open_lines == [[OWED], [OWED]]
    assert journal.held == ()


def test_the_first_fails(journal):
    runner = Recorder(1, 0)
    both = commands("stop db", "start db")
    with pytest.raises(CommandFailed, match="stop db: the command before the image failed: no such luck"):
        both.run_before(journal, runner)
    both.run_after(runner, Conversation())
    assert runner.argvs == [("stop", "db"), ("start", "db")]
    assert both.warnings == []


def test_the_second_fails(journal):
    told = []

    class Ear(Conversation):
        def tell(self, event):
            told.append((event.id, event.message))

    both = commands("", "start db")
    both.run_before(journal, Recorder())
    both.run_after(Recorder(1), Ear())
    assert both.warnings == ["the command after the image failed: no such luck (start db)"]
    assert told == [("command.post", both.warnings[0])]
    assert journal.held == ()


def test_none_is_nothing(journal):
    nothing = commands()
    nothing.run_before(journal, Recorder())
    nothing.run_after(Recorder(), Conversation())
    assert journal.held == ()


def test_words_are_split_without_a_shell():
    class Order:
        pre_command = "say 'two words' $HOME; rm *"
        post_command = ""
        command_limit = 1.0

    assert Commands.of(Order).before == ("say", "two words", "$HOME;", "rm", "*")
    Order.pre_command = "say 'one"
    with pytest.raises(UsageError, match="cannot be split"):
        Commands.of(Order)


@pytest.mark.parametrize("code", [0, 1])
def test_what_a_dead_run_owed_is_run(journal, code):
    both = commands("", "start db")
    both.run_before(journal, Recorder())
    (left,) = journal.held
    assert json.loads(left.data["argv"]) == ["start", "db"]
    runner = Recorder(code)
    assert settle(left, runner).state is UndoState.REMOVED
    assert (runner.argvs, runner.limits) == ([("start", "db")], [7.0])
