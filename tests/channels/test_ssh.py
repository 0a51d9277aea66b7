"""The user's OpenSSH client: arguments stay data, every way to fail has its name, nothing runs on for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from azext_vmagent.channels import ssh
from azext_vmagent.channels.ssh import LIMIT_BYTES, SshLogin, ssh_command
from azext_vmagent.evidence.asking import NotAsked, SourceFailed
from azext_vmagent.evidence.deadline import Deadline
from azext_vmagent.model import State

OPS = SshLogin("203.0.113.7", "ops")


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Put an ``ssh`` on PATH that is this shell script."""

    def make(script: str) -> Path:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path

    return make


def run(script: str = "echo hello", login: SshLogin = OPS, seconds: float = 5.0):
    return ssh.run(login, script, Deadline.after(seconds))


def failure(**how) -> SourceFailed:
    with pytest.raises(SourceFailed) as caught:
        run(**how)
    return caught.value


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_user_and_host_are_data_behind_their_options():
    login = SshLogin("-oProxyCommand=reboot", "-oProxyCommand=reboot", 2222, "/keys/a b")
    command = ssh_command(login, "/usr/bin/ssh", Deadline.after(60))
    assert command[command.index("-l") + 1] == login.user
    assert command[command.index("--") + 1] == login.host
    assert command.index("--") == len(command) - 3
    assert command[command.index("-p") + 1] == "2222"
    assert command[command.index("-i") + 1] == "/keys/a b"


def test_nothing_is_asked_and_nothing_is_accepted_for_the_user():
    command = ssh_command(OPS, "ssh", Deadline.after(60))
    assert "BatchMode=yes" in command
    assert "ForwardAgent=no" in command
    assert not any("StrictHostKeyChecking" in part or "UserKnownHostsFile" in part for part in command)


def test_connecting_never_takes_longer_than_the_budget():
    assert "ConnectTimeout=10" in ssh_command(OPS, "ssh", Deadline.after(60))
    assert "ConnectTimeout=3" in ssh_command(OPS, "ssh", Deadline.after(3.9))
    assert "ConnectTimeout=1" in ssh_command(OPS, "ssh", Deadline.after(0))


# -- an answer ---------------------------------------------------------------------------------------------------------


def test_the_script_runs_as_it_came_and_its_output_comes_back(client):
    client("cat")
    assert run("echo 'it''s' \"$HOME\"\n") == ("root through sudo", "echo 'it''s' \"$HOME\"\n")
    assert run("x", SshLogin("h", "root"))[0] == "root"


def test_a_script_that_fails_after_it_spoke_has_still_spoken(client):
    client("cat; exit 3")
    assert run("said")[1] == "said"


def test_bytes_that_are_no_text_are_shown_as_such(client):
    client(r"printf '\377ok'")
    assert run()[1] == "\ufffdok"


def test_a_guest_that_does_not_read_its_input_is_no_crash(client):
    client("exec 0<&-; echo early")
    assert run("x" * 1_000_000)[1] == "early\n"


def test_output_without_end_is_cut(client):
    client("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    started = time.monotonic()
    assert len(run()[1]) == LIMIT_BYTES
    assert time.monotonic() - started < 4


def test_no_client_is_a_reason_and_no_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAsked, match="no ssh client"):
        run()


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("ssh: connect to host 203.0.113.7 port 22: Connection timed out", State.TIMED_OUT),
        ("Connection timed out during banner exchange", State.TIMED_OUT),
        ("ssh: connect to host 203.0.113.7 port 22: Connection refused", State.FAILED),
        ("ssh: connect to host 203.0.113.7 port 22: No route to host", State.FAILED),
        ("ssh: Could not resolve hostname web: Name or service not known", State.FAILED),
        ("ssh: connect to host 203.0.113.7 port 22: Permission denied", State.FAILED),
        ("Can't open user config file /root/x: Permission denied", State.FAILED),
        ("No ED25519 host key is known for 203.0.113.7 and you have requested strict checking.", State.DENIED),
        ("Host key verification failed.", State.DENIED),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", State.DENIED),
        ("ops@203.0.113.7: Permission denied (publickey,password).", State.DENIED),
        ("Received disconnect from 203.0.113.7: Too many authentication failures", State.DENIED),
        ("kex_exchange_identification: Connection closed by remote host", State.FAILED),
    ],
)
def test_a_failed_connection_is_named_by_what_the_client_said(client, said, state):
    client(f'cat > /dev/null; echo "{said}" >&2; exit 255')
    failed = failure()
    assert failed.state is state
    assert said[:40] in failed.detail
    assert "203.0.113.7" in failed.detail


@pytest.mark.parametrize(
    "said", ["sudo: a password is required", "ops is not in the sudoers file.", "sh: 1: exec: sudo: not found"]
)
def test_a_login_without_root_says_that_sudo_is_what_is_missing(client, said):
    client(f"cat > /dev/null; echo '{said}' >&2; exit 1")
    failed = failure()
    assert failed.state is State.DENIED
    assert "logged in as ops@203.0.113.7, but sudo would ask" in failed.detail


def test_a_client_that_says_nothing_is_named_by_its_exit(client):
    client("cat > /dev/null; exit 7")
    assert "ssh ended with 7" in failure().detail


def test_what_the_guest_says_on_its_way_out_cannot_touch_the_terminal(client):
    client(r"printf '\033[2J\033]0;x\007 gone' >&2; exit 255")
    assert failure().detail.isprintable()


def test_a_connection_that_hangs_is_killed_in_time(client):
    client("exec sleep 30")
    started = time.monotonic()
    failed = failure(seconds=1.0)
    assert failed.state is State.TIMED_OUT
    assert time.monotonic() - started < 3


def test_errors_without_end_cost_neither_memory_nor_the_budget(client):
    client("cat > /dev/null; yes error | head -c 3000000 >&2; exit 255")
    assert len(failure().detail) < 300
