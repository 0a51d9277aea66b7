"""The user's OpenSSH client: arguments stay data, every way to fail has its name, nothing runs on for ever."""

from __future__ import annotations

import base64
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from azext_vmagent.channels import ssh
from azext_vmagent.channels.open_requests import OpenRequests
from azext_vmagent.channels.ssh import LIMIT_BYTES, SshLogin, ssh_command
from azext_vmagent.evidence.asking import NotAsked, SourceFailed, ask
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
    return ssh.run(login, script, Deadline.after(seconds), OpenRequests())


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


KEX = "kex_exchange_identification: Connection closed by remote host"
CHANGED = "@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@@\nHost key verification failed."
STEPS = {
    "name": ("ssh: Could not resolve hostname web: Name or service not known", 255, "name", State.FAILED, "--ssh-host"),
    "reach": ("ssh: connect to host 203.0.113.7 port 22: Connection timed out", 255, "reach", State.TIMED_OUT, "neither"),
    "server hangs": ("Connection timed out during banner exchange", 255, "reach", State.TIMED_OUT, "server hangs"),
    "refused": ("ssh: connect to host 203.0.113.7 port 22: Connection refused", 255, "reach", State.FAILED, "no SSH"),
    "no way": ("ssh: connect to host 203.0.113.7 port 22: No route to host", 255, "reach", State.FAILED, "VPN"),
    "dropped": (KEX, 255, "handshake", State.FAILED, "MaxStartups"),
    "penalty": ("Not allowed at this time", 255, "handshake", State.FAILED, "PerSourcePenalties"),
    "algorithms": (
        "Unable to negotiate with 203.0.113.7 port 22: no matching host key type found. Their offer: ssh-rsa",
        255, "handshake", State.FAILED, "share no algorithm",
    ),
    "unknown key": ("Host key verification failed.", 255, "host key", State.DENIED, "ssh -l ops 203.0.113.7"),
    "changed key": (CHANGED, 255, "host key", State.DENIED, "ssh-keygen -R"),
    "keys": ("ops@203.0.113.7: Permission denied (publickey,password).", 255, "login", State.DENIED, "publickey,password"),
    "no keys wanted": ("ops@203.0.113.7: Permission denied (password).", 255, "login", State.DENIED, "not among them"),
    "passphrase": ("Load key \"/k\": incorrect passphrase supplied", 255, "login", State.DENIED, "ssh-add"),
    "booting": ("System is booting up. Unprivileged users are not permitted", 255, "login", State.DENIED, "nologin"),
    "jump host refused": (
        f"ssh: connect to host jump port 22: Connection refused\n{KEX}", 255, "jump host", State.FAILED, "not 203.0.113.7",
    ),
    "jump host's login": (
        f"me@jump: Permission denied (publickey).\n{KEX}", 255, "jump host", State.FAILED, "not 203.0.113.7",
    ),
    "jump host's key": (f"Host key verification failed.\n{KEX}", 255, "jump host", State.FAILED, "not 203.0.113.7"),
    "jump host, and the client ended before it noticed": (
        "ssh: connect to host 198.51.100.9 port 22: Connection refused", 255, "jump host", State.FAILED, "not 203.0.113.7",
    ),
    "target behind the jump host": (
        f"channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n{KEX}",
        255, "jump host", State.FAILED, "does not reach 203.0.113.7",
    ),
    "password for sudo": ("sudo: a password is required", 1, "sudo", State.DENIED, "sudo would ask"),
    "not a sudoer": ("ops is not in the sudoers file.", 1, "sudo", State.DENIED, "may not use sudo"),
    "no sudo": ("sh: 1: exec: sudo: not found", 127, "sudo", State.DENIED, "has no sudo"),
    "requiretty": ("sudo: sorry, you must have a tty to run sudo", 1, "sudo", State.DENIED, "requiretty"),
}  # fmt: skip


@pytest.mark.parametrize(("said", "code", "step", "state", "words"), STEPS.values(), ids=STEPS)
def test_the_step_that_failed_is_named_with_what_to_do(client, tmp_path, said, code, step, state, words):
    (tmp_path / "said").write_text(said)
    client(f"cat > /dev/null; cat {tmp_path}/said >&2; exit {code}")
    failed = failure()
    assert (failed.state, failed.detail.split(": ")[0]) == (state, step)
    assert words in failed.detail


SHELLS = {
    "nologin": ("This account is currently not available.", "nologin"),
    "cloud-init's root": ('Please login as the user "azureuser" rather than the user "root".', "--ssh-user azureuser"),
    "forced command": ("This service allows sftp connections only.", "forced command"),
    "Windows": ("'sh' is not recognized as an internal or external command,", "Windows"),
}


@pytest.mark.parametrize(("said", "words"), SHELLS.values(), ids=SHELLS)
def test_a_shell_that_turns_logins_away_is_no_answer(client, tmp_path, said, words):
    (tmp_path / "said").write_text(said)
    client(f"cat > /dev/null; cat {tmp_path}/said; exit 1")
    failed = failure()
    assert failed.detail.startswith("shell: ")
    assert words in failed.detail


def test_a_guest_that_talks_before_the_answer_has_still_answered(client):
    client("cat > /dev/null; echo 'Access is restricted to staff'; echo 'vmagent-probe 1'; echo 'end 1 0 -'")
    assert "vmagent-probe 1" in run()[1]


def test_the_key_behind_a_tunnel_is_another_machines(client):
    tunnel = SshLogin("127.0.0.1", "ops", 2222)
    for said in ("Host key verification failed.", "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"):
        client(f"cat > /dev/null; echo '{said}' >&2; exit 255")
        assert "HostKeyAlias" in failure(login=tunnel).detail


def test_certificates_of_az_ssh_are_used_where_they_lie(tmp_path):
    key = tmp_path / "id rsa"
    key.touch()
    login = SshLogin("h", "ops", key=str(key), config="/c/az")
    assert not any("CertificateFile" in part for part in ssh_command(login, "ssh", Deadline.after(9)))
    (tmp_path / "id rsa.pub-aadcert.pub").touch()
    command = ssh_command(login, "ssh", Deadline.after(9))
    assert f'CertificateFile="{key}.pub-aadcert.pub"' in command
    assert command[command.index("-F") + 1] == "/c/az"


@pytest.mark.skipif(shutil.which("ssh") is None, reason="NOT TRIED: no ssh client on this machine")
@pytest.mark.parametrize(
    ("lines", "step"),
    [
        ("HostName 127.0.0.1\nPort 1", "reach"),
        ("HostName no.such.name.invalid", "name"),
        ("Host 192.0.2.1\nProxyJump 127.0.0.1:1", "jump host"),
        ("NoSuchOption yes", "configuration"),
    ],
)
def test_the_real_clients_own_words_are_understood(tmp_path, lines, step):
    config = tmp_path / "config"
    config.write_text(f"Host web\n{lines}\n")
    host = "192.0.2.1" if "ProxyJump" in lines else "web"
    failed = failure(login=SshLogin(host, "ops", config=str(config)), seconds=10.0)
    assert failed.detail.split(": ")[0] == step


def test_a_client_that_says_nothing_is_named_by_its_exit(client):
    client("cat > /dev/null; exit 7")
    assert "was let in and ended with 7; it said nothing" in failure().detail
    client("cat > /dev/null; exit 255")
    assert "ssh ended with 255" in failure().detail


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


def test_whoever_interrupts_leaves_no_client_behind(client, tmp_path):
    client(f"echo $$ > {tmp_path}/pid; exec sleep 30")
    requests = OpenRequests()
    waiting = threading.Thread(target=ask, args=("ssh", lambda: ssh.run(OPS, "x", Deadline.after(20), requests)))
    waiting.start()
    end = time.monotonic() + 5
    while not (tmp_path / "pid").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert requests.withdrawn() == []
    waiting.join(timeout=5)
    assert not waiting.is_alive()


# -- Windows -----------------------------------------------------------------------------------------------------------


def test_a_powershell_script_goes_to_a_powershell_that_either_default_shell_starts(client, tmp_path):
    """OpenSSH for Windows starts cmd or PowerShell; no character here means anything to either."""
    client(f'for last in "$@"; do :; done; printf "%s" "$last" > {tmp_path}/remote; cat')
    said, out = run("#Requires -Version 4.0\nGet-Service")
    remote = (tmp_path / "remote").read_text()
    assert out == "#Requires -Version 4.0\nGet-Service"
    assert "the probe says with which rights" in said
    assert re.fullmatch(r"powershell -NoProfile -NonInteractive -EncodedCommand [A-Za-z0-9+/=]+", remote)
    command = base64.b64decode(remote.split()[-1]).decode("utf-16-le")
    assert command == "& ([scriptblock]::Create([string]::Join([string][char]10, @($input))))"
