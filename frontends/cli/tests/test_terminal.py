"""A person at a terminal: a progress line, and questions that wait for an answer."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

import pytest

COLUMNS = 60


class Terminal:
    """A pseudo-terminal with the installed command on it. Standard output is a pipe of its own."""

    def __init__(self, command, environment):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def wait_for(self, text):
        while text not in self.seen:
            assert self._read(), f"it never said {text!r}, but {self.seen!r}"

    def type(self, text):
        os.write(self._ours, text.encode())

    def finish(self):
        """Wait for the end; returns exit code and standard output."""
        while self._read():
            pass
        out, _ = self._process.communicate(timeout=60)
        return self._process.returncode, out.decode()

    def close(self):
        self._process.kill()
        self._process.communicate()
        os.close(self._ours)

    def _read(self):
        ready, _, _ = select.select([self._ours], [], [], 60)
        try:
            more = os.read(self._ours, 4096) if ready else b""
        except OSError:  # EIO: the other side is closed
            more = b""
        self.seen += more.decode()
        return bool(more)


@pytest.fixture
def terminal(command, environment, repo):
    """Start the command on a terminal."""
    opened = []

    def start(*words, **settings):
        made = Terminal([command, *words], {**environment, "HOLDSTILL_REPO": str(repo), "TERM": "xterm", **settings})
        opened.append(made)
        return made

    yield start
    for each in opened:
        each.close()


def test_progress_is_drawn_and_wiped(terminal, volume):
    screen = terminal("backup", volume)

    code, out = screen.finish()

    drawn = re.findall(r"\r([^\r\n]*?)\x1b\[K", screen.seen)
    assert code == 0
    assert any(re.match(r"read  \d+%  .* of ", line) for line in drawn)
    assert max(len(line) for line in drawn) < COLUMNS
    assert screen.seen.endswith("\r\x1b[K")
    assert "image " in out
    assert "\r" not in out


def test_a_dumb_terminal_has_no_progress(terminal, volume):
    screen = terminal("backup", volume, TERM="dumb")

    assert screen.finish()[0] == 0
    assert screen.seen == ""


def test_json_draws_nothing(terminal, volume):
    screen = terminal("backup", "--json", volume)

    assert screen.finish()[0] == 0
    assert screen.seen == ""


@pytest.mark.parametrize("typed", ["yes\n", "what?\nY\n"])
def test_a_yes_deletes(terminal, hold, repo, image, typed):
    screen = terminal("delete", image)
    screen.wait_for("[yes/NO] ")
    assert image in screen.seen

    screen.type(typed)
    code, out = screen.finish()

    assert code == 0
    assert f"deleted image {image}" in out
    assert hold("images", "--json", repo=repo).result["images"] == []


@pytest.mark.parametrize("typed", ["n\n", "\n", "\x04"])
def test_anything_else_keeps(terminal, hold, repo, image, typed):
    screen = terminal("delete", image)
    screen.wait_for("[yes/NO] ")

    screen.type(typed)
    code, out = screen.finish()

    assert (code, out) == (1, "")
    assert len(hold("images", "--json", repo=repo).result["images"]) == 1


def test_a_restore_shows_what_is_there_before_it_asks(terminal, volume, image):
    before = volume.read_bytes()
    with volume.open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"\xaa" * 4096)
    screen = terminal("restore", image, "--to", volume)
    screen.wait_for("[yes/NO] ")
    assert "ext4" in screen.seen
    assert re.search(r"size +25165824", screen.seen)

    screen.type("yes\n")
    code, _ = screen.finish()

    assert code == 0
    assert volume.read_bytes() == before


def test_a_restore_that_is_declined_writes_nothing(terminal, volume, image):
    with volume.open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"\xaa" * 4096)
    changed = volume.read_bytes()
    screen = terminal("restore", image, "--to", volume)
    screen.wait_for("[yes/NO] ")

    screen.type("no\n")
    code, _ = screen.finish()

    assert code == 1
    assert volume.read_bytes() == changed


def test_yes_asks_nothing(terminal, image):
    screen = terminal("delete", "--yes", image)

    assert screen.finish()[0] == 0
    assert "[yes/NO]" not in screen.seen


def test_ctrl_c_at_the_question(terminal, hold, repo, image):
    screen = terminal("delete", image)
    screen.wait_for("[yes/NO] ")

    os.kill(screen._process.pid, 2)
    code, _ = screen.finish()

    assert code == 130
    assert len(hold("images", "--json", repo=repo).result["images"]) == 1
