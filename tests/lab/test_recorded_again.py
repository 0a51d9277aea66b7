"""The recorder, with a recorded guest in the place of the real one: what comes out serves as what went in."""

import json
import shutil
import subprocess
import time

import pytest

from lab.guests import record as recorder
from lab.guests.base import LabError
from lab.guests.record import Occasion, record
from lab.guests.recorded import RecordedGuest

PROBE = "#!/bin/sh\necho vmagent-probe 1\n"
VALUES = dict.fromkeys(
    ["cpu_percent", "network_in_bytes", "network_out_bytes", "disk_read_bytes", "disk_write_bytes"], 2.0
)
FILES = {
    "status.json": {
        "timestampUTC": "2026-11-23T22:52:00Z",
        "guestOSInfo": {"osName": "debian", "osVersion": "12.12"},
        "aggregateStatus": {"guestAgentStatus": {"version": "2.7.3.0", "status": "Ready"}},
    },
    "ssh.json": [
        {"match": "vmagent-probe", "user": "root", "stdout": "uid 0\n"},
        {"match": "sudo", "user": "azureuser", "stdout": "uid 0 through sudo\n"},
    ],
    "run_command.json": [{"match": "vmagent-probe", "message": "Enable succeeded: \n[stdout]\nuid 0\n"}],
    "metrics.json": {
        "samples": [{"offset": offset, **VALUES} for offset in range(-6, 0)],
        "after": {"offsets": [-1, -1]},
    },
}


def locally(argv, stdin, timeout):
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture
def again(tmp_path, monkeypatch):
    """Return a function that serves a recording, records that guest, and serves the new recording."""
    opened = []
    monkeypatch.setattr(recorder, "SILENT_SECONDS", 4.5)

    def make(continues, outcome, occasion):
        source = tmp_path / "source"
        source.mkdir()
        port22 = {"outcome": outcome, "greeting": "SSH-2.0-OpenSSH_9.2p1"}
        head = {"schema": 1, "recorded_at": "2026-11-23T22:53:00+00:00", "port22": port22}
        head["upload"] = {"age_seconds": 4 if continues else 60, "continues": continues}
        for name, document in {**FILES, "recording.json": head}.items():
            (source / name).write_text(json.dumps(document))
        (source / "serial.log").write_bytes(b"\x00azlab login: ")
        opened.append(guest := RecordedGuest("vm1", source, "127.0.77.5", tmp_path / "state"))
        if guest.ssh_port != 22:
            pytest.skip("port 22 of 127.0.77.5 is not to be had here")
        guest.private_address, guest.namespace = guest.public_address, "unused"
        record(guest, tmp_path / "target", probe=PROBE, occasion=occasion, run=locally)
        opened.append(served := RecordedGuest("vm1", tmp_path / "target", "127.0.77.6", tmp_path / "state"))
        return served.recording

    yield make
    for guest in opened:
        guest.close()


@pytest.mark.skipif(shutil.which("ssh") is None, reason="NOT TRIED: no ssh client on this machine")
def test_a_healthy_guest(again):
    recording = again(True, "greeting", Occasion(healthy_since=time.time() - 300))
    assert recording.upload.continues
    assert recording.upload.age_seconds == pytest.approx(4, abs=1)
    assert recording.port22.greeting == "SSH-2.0-OpenSSH_9.2p1"
    assert [(answer.user, answer.stdout) for answer in recording.ssh[:2]] == [
        ("root", "uid 0\n"),
        ("azureuser", "uid 0 through sudo\n"),
    ]
    assert recording.run_command[0].message == "Enable succeeded: \n[stdout]\nuid 0\n"
    assert recording.serial_log == b"\x00azlab login: "
    assert recording.metrics.before == recording.metrics.after


def test_a_silent_guest_that_refuses(again):
    now = time.time()
    recording = again(False, "refused", Occasion(now - 300, "fstab-emergency", now - 120))
    assert not recording.upload.continues
    assert recording.upload.age_seconds == pytest.approx(60, abs=5)
    assert recording.port22.outcome == "refused"
    assert recording.ssh == ()
    assert [answer.never for answer in recording.run_command] == [True]
    assert recording.metrics.before[1] < recording.metrics.after[0]
    assert recording.fault == "fstab-emergency"


def test_a_script_that_is_not_the_probe_is_refused(tmp_path):
    with pytest.raises(LabError, match="vmagent-probe"):
        record(None, tmp_path, probe="echo", occasion=Occasion(0.0))
