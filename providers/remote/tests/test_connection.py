"""A connection is made without a question, or there is a clear error; what is lost on the way is not known."""

import re
import threading

import pytest

from holdstill.errors import HostKeyRefused, LoginRefused, MachineLost, MachineUnreachable
from holdstill_remote import address
from holdstill_remote.connection import Connection
from holdstill_remote.machine import SshMachine
from holdstill_remote.programs import SshRunner, at_work
from holdstill_remote.refusals import of_ssh


@pytest.fixture
def opened(ssh, local):
    connections = []

    def attempt(name="ssh://there"):
        connections.append(Connection(address.parse(name)))
        connections[-1].open(local)
        return connections[-1]

    yield attempt
    for connection in connections:
        connection.close(local)


def test_a_host_key_that_is_not_known(ssh, opened, tmp_path):
    ssh.configure(known_hosts=tmp_path / "none")
    with pytest.raises(HostKeyRefused, match="its host key is not known here"):
        opened()


def test_a_host_key_that_has_changed(ssh, opened, tmp_path):
    another = (ssh.server.folder / "user.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{ssh.server.port} {another}")
    ssh.configure(known_hosts=tmp_path / "known")
    with pytest.raises(HostKeyRefused, match="another one than is known here"):
        opened()


def test_a_key_that_is_not_let_in(ssh, opened, tmp_path):
    ssh.configure(identity=ssh.server.folder / "host")
    with pytest.raises(LoginRefused, match=r"it does not let us in: .*Permission denied"):
        opened()


def test_nobody_who_listens(opened):
    with pytest.raises(MachineUnreachable, match=r"cannot be reached: .*Connection refused"):
        opened("ssh://127.0.0.1:1")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ssh: connect to host there port 22: Connection timed out", MachineUnreachable),
        ("Read from remote host there: Connection timed out", MachineLost),
        ("client_loop: ssh_packet_write_poll: Connection to there port 22: No route to host", MachineLost),
    ],
)
def test_whether_it_was_connected_when_it_ended(said, kind):
    """Only then something may have been done."""
    assert type(of_ssh("ssh://there", said)) is kind


def test_a_login_shell_that_runs_nothing(ssh, opened, tmp_path):
    ssh.configure(identity=ssh.new_key(tmp_path, 'command="exit 3"'))
    with pytest.raises(MachineUnreachable, match="its login shell cannot start /bin/sh"):
        opened()


def test_a_login_shell_that_talks(ssh, opened, local, tmp_path):
    ssh.configure(identity=ssh.new_key(tmp_path, 'command="echo Welcome to it; eval \\"$SSH_ORIGINAL_COMMAND\\""'))
    with pytest.raises(MachineUnreachable, match="it does not say what it is"):
        SshMachine(opened(), local)


def test_a_login_that_does_something_else_instead(ssh, opened, local, tmp_path):
    """That it ended well says nothing: what was asked for was not done."""
    ssh.configure(identity=ssh.new_key(tmp_path, 'command="true"'))
    with pytest.raises(MachineLost):
        SshMachine(opened(), local)


def test_what_it_is(machine):
    import platform

    assert (machine.system, machine.name, machine.url) == ("linux", platform.node(), "ssh://there")


@pytest.mark.parametrize("shell", ["sh", "csh"])
@pytest.mark.parametrize("change", [True, False])
def test_programs_over_there(ssh, opened, local, tmp_path, shell, change):
    ssh.configure(identity=ssh.new_key(tmp_path, f'command="{shell} -c \\"$SSH_ORIGINAL_COMMAND\\""'))
    runner = SshRunner(opened(), "0123abcd", local)
    code = 'echo "$1"; echo why >&2; echo $LC_ALL $HOLDSTILL_RUN; pwd; cat; exit 255'
    argv = ("sh", "-c", code, "sh", "it's $HOME! *")

    ran = runner.change(argv) if change else runner.ask(argv, limit=60)

    assert (ran.argv, ran.code, ran.err, ran.timed_out) == (argv, 255, "why\n", False)
    assert ran.out == "it's $HOME! *\nC 0123abcd\n/\n"


def test_a_program_that_there_is_not(machine):
    ran = machine.runner.ask(["no-such-program"], limit=60)
    assert ran.code == 127
    assert "not found" in ran.said


def test_a_question_that_takes_too_long(machine, tmp_path):
    ran = machine.runner.ask(["sh", "-c", f"until test -e {tmp_path}/end; do sleep .1; done"], limit=1)
    assert ran.timed_out
    (tmp_path / "end").touch()
    assert machine.runner.ask(["true"], limit=60).ok


@pytest.fixture
def begun(connection, local, tmp_path):
    """A change that has begun, and goes on until ``end`` is there; what came of it."""
    outcome = []
    runner = SshRunner(connection, "feedbeef", local)

    def job():
        try:
            outcome.append(
                runner.change(["sh", "-c", f"touch {tmp_path}/begun; until test -e {tmp_path}/end; do sleep .1; done"])
            )
        except MachineLost as lost:
            outcome.append(lost)

    thread = threading.Thread(target=job)
    thread.start()
    while not (tmp_path / "begun").exists():
        thread.join(0.01)
    yield runner, thread, outcome
    (tmp_path / "end").touch()
    thread.join()


def test_a_change_whose_connection_ends_goes_on_and_nobody_knows(connection, cut, begun, local, tmp_path):
    runner, thread, outcome = begun

    cut(connection)
    thread.join()

    assert isinstance(outcome[0], MachineLost)
    assert "is not known" in str(outcome[0])
    connection.open(local)
    assert re.fullmatch(r"sh as process \d+", at_work(connection, "feedbeef", local))
    assert at_work(connection, "deadbeef", local) == ""
    for use in (lambda: runner.ask(["true"], limit=60), lambda: runner.change(["true"])):
        with pytest.raises(MachineLost, match=r"sh as process \d+, whose connection ended, is still at work"):
            use()
    (tmp_path / "end").touch()
    while at_work(connection, "feedbeef", local):
        thread.join(0.01)
    assert runner.ask(["true"], limit=60).ok


def test_a_change_that_was_done_leaves_no_trace(machine, local):
    machine.runner_for("c0ffee00", local).change(["true"])
    assert machine.runner.ask(["sh", "-c", "ls -d /tmp/.holdstill-c0ffee00-*"], limit=60).out == ""
