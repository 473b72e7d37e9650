"""Programs: in good order, never half-way, never ours to kill when they change storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from holdstill.errors import Cancelled, PluginError
from holdstill.held.runner import ProcessRunner, survivors
from holdstill.model.events import Warned
from holdstill.spi.conversation import Conversation


class Ear(Conversation):
    def __init__(self):
        self.told = []
        self.cancel = False

    def tell(self, event):
        self.told.append(event)

    def cancelled(self):
        return self.cancel


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def runner(tmp_path, ear):
    return ProcessRunner("0123abcd", tmp_path, ear, slow=0.2)


def python(code, *more):
    return (sys.executable, "-c", code, *more)


@pytest.mark.parametrize("ask", [True, False])
def test_what_it_says_and_how_it_ends(runner, ask):
    argv = python("import sys; print('out'); print('why', file=sys.stderr); sys.exit(3)")
    ran = runner.ask(argv, limit=60) if ask else runner.change(argv)
    assert (ran.argv, ran.code, ran.out, ran.err, ran.ok, ran.said) == (argv, 3, "out\n", "why\n", False, "why")


def test_in_what_surroundings_it_runs(runner):
    code = """
import os, sys
print(os.environ["LC_ALL"], os.environ["HOLDSTILL_RUN"], os.getpgid(0) == os.getsid(0) == os.getpid(), os.getcwd())
print(sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")), sys.stdin.read() == "")
print([os.path.isfile(f"/proc/self/fd/{n}") for n in (1, 2)], sys.argv[1])
"""
    inherited = os.open("/", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        ran = runner.change(python(code, "$(id) *"))
    finally:
        os.close(inherited)
    assert ran.out.splitlines() == ["C 0123abcd True /", "['0', '1', '2'] 4 True", "[True, True] $(id) *"]


def test_what_cannot_be_started(runner):
    ran = runner.ask(("/no/such/program",), limit=60)
    assert (ran.code, ran.ok) == (127, False)
    assert "cannot be started" in ran.said


def test_a_question_that_takes_too_long_is_ended_with_its_whole_group(runner, tmp_path):
    code = 'sleep 600 & echo $! > "$1"; wait'
    ran = runner.ask(("sh", "-c", code, "sh", str(tmp_path / "child")), limit=4)
    assert (ran.timed_out, ran.ok, ran.said) == (True, False, "took too long and was ended")
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child)


def is_alive(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_question_whose_program_will_not_end_is_ended_all_the_same(runner):
    ran = runner.ask(("sh", "-c", 'trap "" TERM; while :; do sleep 1; done'), limit=4)
    assert (ran.timed_out, ran.code) == (True, -signal.SIGKILL)


def test_what_a_program_left_running_keeps_nobody_waiting(runner):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])"
    began = time.monotonic()
    assert runner.ask(python(code), limit=25).ok
    assert time.monotonic() - began < 20
    for process in survivors("0123abcd", 0):
        os.kill(process, signal.SIGKILL)


def test_a_cancel_ends_a_question(runner, ear):
    threading.Timer(0.2, lambda: setattr(ear, "cancel", True)).start()
    with pytest.raises(Cancelled):
        runner.ask(python("import time; time.sleep(600)"), limit=500)


def test_a_change_is_waited_for_whatever_happens(runner, ear):
    ear.cancel = True
    ran = runner.change(python("import time; time.sleep(0.7); print('done')"))
    assert ran.out == "done\n"
    assert ear.told
    assert all(isinstance(event, Warned) and event.id == "command.slow" for event in ear.told)
    assert "it is waited for" in ear.told[0].message


def test_an_interrupt_comes_after_a_change_has_ended(tmp_path):
    code = f"""
import sys
from pathlib import Path
from holdstill.held.runner import ProcessRunner
from holdstill.spi.conversation import Conversation
program = "import time; open({str(tmp_path / "begun")!r}, 'w'); time.sleep(1); open({str(tmp_path / "done")!r}, 'w')"
try:
    ProcessRunner("x", Path({str(tmp_path)!r}), Conversation()).change((sys.executable, "-c", program))
except KeyboardInterrupt:
    print("interrupted", Path({str(tmp_path / "done")!r}).exists())
"""
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "interrupted True\n"


def test_survivors_of_a_run_are_found_and_waited_for():
    process = subprocess.Popen(python("import time; time.sleep(60)"), env={**os.environ, "HOLDSTILL_RUN": "feed"})
    try:
        deadline = time.monotonic() + 10
        while not survivors("feed", 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert survivors("feed", 0) == [process.pid]
        threading.Timer(0.3, process.kill).start()
        threading.Timer(0.35, process.wait).start()
        assert survivors("feed", 30) == []
    finally:
        process.kill()
        process.wait()


def test_bytes_flow_through_a_program(runner):
    flow = runner.stream(python("import sys; sys.stdout.write(sys.stdin.read()[::-1]); sys.stderr.write('said')"))
    flow.into.write(b"abc")
    flow.into.close()

    assert flow.out.read() == b"cba"
    assert flow.close() == flow.close()
    assert flow.close() in ("said", "")  # it may have been ended before it could say it
    assert flow.out.closed


def test_a_flow_that_is_closed_ends_its_program_and_what_that_started(runner, tmp_path):
    code = "import subprocess, sys; c = subprocess.Popen(['sleep', '600']); print(c.pid, flush=True); c.wait()"
    flow = runner.stream(python(code))
    child = int(flow.out.readline())

    flow.close()

    while is_alive(child):
        time.sleep(0.01)


def test_a_flow_that_cannot_be_started(runner):
    with pytest.raises(PluginError, match="/no/such/program: it cannot be started"):
        runner.stream(("/no/such/program",))
