"""Port 22 of a recorded guest, judged by plain sockets and by the OpenSSH client."""

import json
import shutil
import socket
import subprocess

import pytest

from lab.guests.recorded import RecordedGuest
from lab.guests.ssh_replay import write_key

GREETING = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"
ANSWERS = [
    {"match": "vmagent-probe", "user": "root", "stdout": "uid 0 é\n", "stderr": "noise\n", "exit": 3, "seconds": 9},
    {"match": r"\Asudo[\s\S]*vmagent-probe", "user": "azureuser", "stdout": "uid 0 through sudo\n"},
]
PROBE = "#!/bin/sh\n# vmagent-probe 1\n" + "echo padding\n" * 4000


@pytest.fixture(scope="module")
def lab_keys(tmp_path_factory):
    """Return a state folder of the laboratory, in which keys are made once."""
    return tmp_path_factory.mktemp("lab-state")


@pytest.fixture
def guest(tmp_path, lab_keys, request):
    """Return an open recorded guest whose port 22 was recorded as the test's parameter says."""
    folder = tmp_path / "recording"
    folder.mkdir()
    port22 = {"outcome": getattr(request, "param", "greeting"), "greeting": GREETING}
    head = {"schema": 1, "recorded_at": "2026-11-23T22:53:00+00:00", "port22": port22}
    (folder / "recording.json").write_text(json.dumps(head))
    (folder / "ssh.json").write_text(json.dumps(ANSWERS))
    guest = RecordedGuest("vm1", folder, "127.0.77.3", lab_keys, longest_answer=0.2)
    yield guest
    guest.close()


def connect(guest, timeout=2.0):
    return socket.create_connection((guest.public_address, guest.ssh_port), timeout)


@pytest.mark.parametrize("guest", ["refused"], indirect=True)
def test_refused(guest):
    with pytest.raises(ConnectionRefusedError):
        connect(guest)


@pytest.mark.parametrize("guest", ["timed-out"], indirect=True)
def test_timed_out_for_every_client(guest):
    for _ in range(2):
        with pytest.raises(TimeoutError):
            connect(guest, 1.2)


@pytest.mark.parametrize("guest", ["reset"], indirect=True)
def test_reset(guest):
    with pytest.raises(ConnectionResetError), connect(guest) as connection:
        connection.recv(1)


def test_the_recorded_greeting(guest):
    with connect(guest) as connection:
        assert connection.recv(200).decode().strip() == GREETING


def test_a_machine_that_is_off_drops_packets_and_answers_again_at_the_same_port(guest):
    port = guest.ssh_port
    guest.power_off()
    assert guest.ssh_port == port
    with pytest.raises(TimeoutError):
        connect(guest, 1.2)
    guest.start()
    assert guest.ssh_port == port
    with connect(guest) as connection:
        assert connection.recv(200)


def ssh(guest, tmp_path, command, *, user="root", key=None, stdin=PROBE):
    if not shutil.which("ssh"):
        pytest.skip("no OpenSSH client on this machine")
    options = ["BatchMode=yes", "StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={tmp_path}/known_hosts"]
    options += ["IdentitiesOnly=yes", "IdentityAgent=none", "ConnectTimeout=5"]
    call = ["ssh", "-F", "none", "-i", str(key or guest.ssh_key), "-p", str(guest.ssh_port)]
    call += [part for option in options for part in ("-o", option)]
    return subprocess.run(
        [*call, f"{user}@{guest.public_address}", command],
        input=stdin, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


def test_openssh_gets_the_recorded_answer_with_the_script_on_standard_input(guest, tmp_path):
    answer = ssh(guest, tmp_path, "sh -s")
    assert (answer.returncode, answer.stdout) == (3, "uid 0 é\n")
    assert answer.stderr.endswith("noise\n")


def test_openssh_gets_the_recorded_answer_with_the_script_as_the_command(guest, tmp_path):
    assert ssh(guest, tmp_path, "# vmagent-probe\ntrue", stdin="").stdout == "uid 0 é\n"


def test_answers_are_per_user(guest, tmp_path):
    assert ssh(guest, tmp_path, "sudo -n sh -s", user="azureuser").stdout == "uid 0 through sudo\n"
    assert ssh(guest, tmp_path, "sh -s", user="azureuser").returncode == 127


def test_a_script_that_was_not_recorded_is_told_so(guest, tmp_path):
    answer = ssh(guest, tmp_path, "reboot", stdin="")
    assert answer.returncode == 127
    assert "recorded guest: nothing recorded for this script" in answer.stderr


def test_the_host_key_is_the_same_after_a_restart(guest, tmp_path):
    assert ssh(guest, tmp_path, "sh -s").returncode == 3
    guest.restart()
    assert ssh(guest, tmp_path, "sh -s").returncode == 3


def test_other_keys_and_users_are_turned_away(guest, tmp_path):
    write_key(tmp_path / "other")
    for user, key in (("root", tmp_path / "other"), ("admin", None)):
        answer = ssh(guest, tmp_path, "sh -s", user=user, key=key)
        assert answer.returncode == 255
        assert "Permission denied (publickey)" in answer.stderr
