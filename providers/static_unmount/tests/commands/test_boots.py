"""When a host was started, in words that stay the same until it is started again."""

from holdstill.spi.runner import Ran, Runner
from holdstill_static_unmount.commands.boots import boot, started_again


class Reckoning(Runner):
    """A Linux whose ``who -b`` reckons back from a clock that is being set."""

    name = "5f0c3e6e"
    minute = 0

    def ask(self, argv, *, limit):
        if argv[0] == "cat":
            return Ran(tuple(argv), 0, f"{self.name}\n", "")
        self.minute += 1
        return Ran(tuple(argv), 0, f"         system boot  2026-01-01 00:{self.minute:02}\n", "")

    def change(self, argv):
        raise AssertionError(argv)


def test_a_linux_whose_clock_is_set_was_not_started_again():
    host = Reckoning()
    then = boot(host, "Linux")
    assert not started_again(then, host, "Linux")
    host.name = "another"
    assert started_again(then, host, "Linux")


def test_a_host_that_does_not_say_is_not_known_to_have_been_started_again():
    host = Reckoning()
    then = boot(host, "AIX")
    assert started_again(then, host, "AIX")
    assert not started_again("", host, "AIX")
