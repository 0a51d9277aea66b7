"""The recorded guest: what it serves, how old that is, and what a power operation changes."""

import json
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from lab.arm.vm import LabVm
from lab.guests.base import LabError
from lab.guests.recorded import RecordedGuest

RECORDINGS = Path(__file__).parents[2] / "lab" / "recordings"
RECORDED_AT = datetime(2026, 11, 23, 22, 53, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def lab_keys(tmp_path_factory):
    """Return a state folder of the laboratory, in which keys are made once."""
    return tmp_path_factory.mktemp("lab-state")


@pytest.fixture
def recorded(tmp_path, lab_keys):
    """Return a function that writes a recording and opens the guest made from it."""
    opened = []

    def make(files=None, **head):
        folder = tmp_path / f"recording{len(opened)}"
        write_recording(folder, files or {}, **head)
        guest = RecordedGuest("vm1", folder, "127.0.77.1", lab_keys, longest_answer=0.1)
        opened.append(guest)
        return guest

    yield make
    for guest in opened:
        guest.close()


def write_recording(folder, files, **head):
    folder.mkdir()
    document = {"schema": 1, "recorded_at": RECORDED_AT.isoformat(), "port22": {"outcome": "refused"}} | head
    (folder / "recording.json").write_text(json.dumps(document))
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


STATUS = {"status.json": {"timestampUTC": "2026-11-23T22:52:00Z", "version": "1.1"}}


def parsed(stamp):
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def test_a_stale_upload_is_as_old_as_it_was_and_grows_older(recorded):
    guest = recorded(STATUS, upload={"age_seconds": 60, "continues": False})
    upload = guest.status_upload()
    assert time.time() - upload.received == pytest.approx(60, abs=2)
    assert parsed(upload.document["timestampUTC"]) == pytest.approx(upload.received, abs=2)
    assert guest.status_upload().received == upload.received


def test_a_live_agent_goes_on_uploading_until_the_machine_is_switched_off(recorded, monkeypatch):
    guest = recorded(STATUS, upload={"age_seconds": 4, "continues": True})
    later = time.time() + 600
    monkeypatch.setattr(time, "time", lambda: later)
    assert guest.status_upload().received == later - 4
    guest.deallocate()
    monkeypatch.setattr(time, "time", lambda: later + 300)
    assert guest.status_upload().received == later - 4
    guest.start()
    assert guest.status_upload().received == later + 300 - 4


def test_no_upload_without_one_recorded(recorded):
    assert recorded(STATUS, upload=None).status_upload() is None


def test_a_run_command_gets_the_recorded_report_after_a_while(recorded):
    answers = [{"match": "vmagent-probe", "message": "[stdout]\nat 2026-11-23T22:53:00Z\n", "seconds": 9}]
    guest = recorded({"run_command.json": answers})
    sequence = guest.submit_run_command(["#!/bin/sh", "# vmagent-probe 1"], [], 60)
    assert guest.run_command_result(sequence) is None
    time.sleep(0.15)
    result = guest.run_command_result(sequence)
    assert result.succeeded
    moved = result.message.split("at ")[1].strip()
    assert time.time() - parsed(moved) == pytest.approx(0, abs=3)


def test_an_unknown_script_is_told_so(recorded):
    guest = recorded()
    result = guest.run_command_result(guest.submit_run_command(["reboot"], [], 60))
    assert (result.succeeded, result.code) == (False, 127)
    assert "nothing recorded for this script" in result.message


def test_a_dead_agent_never_reports(recorded):
    guest = recorded({"run_command.json": [{"match": "", "never": True}]})
    assert guest.run_command_result(guest.submit_run_command(["anything"], [], 60)) is None


def test_serial_log_keeps_its_bytes_and_moves_its_times(recorded):
    guest = recorded()
    guest.recording.__dict__["serial_log"] = b"\x00\x1b[0m\xe2\x97\x8f 2026-11-23T22:50:37.440476Z INFO\r\n"
    log = guest.serial_log()
    assert log.startswith(b"\x00\x1b[0m\xe2\x97\x8f ")
    assert log.endswith(b".440476Z INFO\r\n")
    assert b"2026-11-23T22:50:37" not in log


def sample(offset, out):
    return {
        "offset": offset,
        "cpu_percent": 3.0,
        "network_in_bytes": 1.0,
        "network_out_bytes": out,
        "disk_read_bytes": 0.0,
        "disk_write_bytes": 0.0,
    }


METRICS = {
    "metrics.json": {
        "samples": [sample(-3, 9000.0), sample(-2, 9100.0), sample(-1, 0.0)],
        "before": {"offsets": [-3, -2], "minutes": 60},
        "after": {"offsets": [-1, -1]},
    }
}


def test_minutes_before_the_recording_are_repeated_as_far_as_it_says(recorded):
    guest = recorded(METRICS)
    now = time.time()
    samples = guest.minute_samples(now - 7200, now)
    assert len(samples) == 63
    assert [s.network_out_bytes for s in samples[-3:]] == [9000.0, 9100.0, 0.0]
    assert {s.network_out_bytes for s in samples[:-1]} == {9000.0, 9100.0}
    assert all(s.start % 60 == 0 for s in samples)


def test_minutes_after_the_recording_go_on_and_are_empty_while_the_machine_is_off(recorded, monkeypatch):
    guest = recorded(METRICS)
    begin = time.time()
    monkeypatch.setattr(time, "time", lambda: begin + 600)
    assert {s.network_out_bytes for s in guest.minute_samples(begin, begin + 900)} == {0.0}
    guest.power_off()
    monkeypatch.setattr(time, "time", lambda: begin + 1200)
    assert guest.power_state() == "stopped"
    off = guest.minute_samples(begin + 660, begin + 1200)
    assert off
    assert {s.cpu_percent for s in off} == {None}


def test_a_machine_recorded_as_deallocated_has_been_silent_since(recorded):
    guest = recorded(
        STATUS | METRICS, upload={"age_seconds": 4, "continues": True}, power_state="deallocated", off_for_seconds=3600
    )
    assert guest.power_state() == "deallocated"
    assert time.time() - guest.status_upload().received == pytest.approx(3604, abs=2)
    guest.start()
    assert guest.power_state() == "running"
    assert time.time() - guest.status_upload().received == pytest.approx(4, abs=2)


def test_a_derived_recording_takes_what_it_lacks_from_the_other(tmp_path, lab_keys):
    write_recording(tmp_path / "healthy", STATUS, upload={"age_seconds": 4, "continues": True})
    (tmp_path / "just-created").mkdir()
    derived = {"schema": 1, "extends": "healthy", "upload": None, "vm": {"time_created_age_seconds": 60}}
    (tmp_path / "just-created" / "recording.json").write_text(json.dumps(derived))
    guest = RecordedGuest("vm1", tmp_path / "just-created", "127.0.77.2", lab_keys)
    try:
        assert guest.status_upload() is None
        assert time.time() - guest.vm_overrides["time_created"] == pytest.approx(60, abs=2)
    finally:
        guest.close()


def test_a_folder_of_another_schema_is_refused(recorded):
    with pytest.raises(LabError, match="record it again"):
        recorded(schema=99)


def test_there_is_no_inside(recorded):
    with pytest.raises(LabError, match="real guest"):
        recorded().shell("id")


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in RECORDINGS.glob("*/recording.json")), ids=lambda f: f.name
)
def test_every_recording_of_the_laboratory_can_be_served(folder, lab_keys):
    guest = RecordedGuest("vm1", folder, "127.0.77.4", lab_keys)
    try:
        assert len(guest.serial_log()) > 10_000
        assert len(guest.serial_log()) <= 150_000
        upload = guest.status_upload()
        assert upload is None or upload.document["aggregateStatus"]["guestAgentStatus"]["status"] == "Ready"
        LabVm(guest, **guest.vm_overrides)
    finally:
        guest.close()


def test_the_console_answers_enter_as_recorded_and_no_other_key(recorded):
    guest = recorded({"console.json": {"printed": "\r\nvm1 login: ", "seconds": 0.0}})
    with guest.open_console() as line:
        line.settimeout(0.2)
        line.sendall(b"root")
        with pytest.raises(TimeoutError):
            line.recv(100)
        line.sendall(b"\r")
        assert line.recv(100) == b"\r\nvm1 login: "
        guest.deallocate()
        line.sendall(b"\r")
        with pytest.raises(TimeoutError):
            line.recv(100)


def test_a_recording_older_than_the_console_has_none(recorded):
    with pytest.raises(LabError, match="record it again"):
        recorded({}).open_console()
