"""What saved files alone allow to say, without Azure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from azure.cli.core.azclierror import InvalidArgumentValueError, RequiredArgumentMissingError

from azext_vmagent.replaying import replay
from azext_vmagent.report.document import document
from azext_vmagent.report.layout import Style
from azext_vmagent.report.text import report

LOGS = Path(__file__).parent / "facts" / "agent_logs"
SERIAL = Path(__file__).parent / "facts" / "serial" / "recorded"
PROBES = Path(__file__).parent / "facts" / "probe_answers"


def replayed(**files: Path | str) -> dict[str, Any]:
    given = dict.fromkeys(("serial_log", "screenshot", "agent_log", "probe_output")) | {
        name: str(path) for name, path in files.items()
    }
    found = replay(**given)
    told = document(found)
    json.dumps(told)
    assert report(found, Style(False))[0].startswith("Saved evidence: ")
    return told


def cut(log: str, lines: int, folder: Path) -> Path:
    """The beginning of a recorded log, as if it had been saved then."""
    made = folder / log
    made.write_text("".join((LOGS / log).read_text().splitlines(keepends=True)[:lines]))
    return made


def test_a_boot_that_stopped_is_scenario_4_with_its_cause(tmp_path):
    log = tmp_path / "serial.log"
    log.write_bytes(
        b"[    0.000000] Linux version 6.1\r\n[ TIME ] Timed out waiting for device /dev/disk/by-uuid/5f3b.\r\n"
        b"[DEPEND] Dependency failed for /data.\r\n[DEPEND] Dependency failed for Local File Systems.\r\n"
        b"You are in emergency mode.\r\nGive root password for maintenance\r\n"
    )
    told = replayed(serial_log=log)
    assert (told["verdict"]["scenario"], told["verdict"]["confidence"]) == ("os-not-running", "likely")
    assert (told["verdict"]["cause"]["code"], told["verdict"]["cause"]["culprit"]) == ("B01", "/data")
    assert told["serialLog"]["outlook"] == "not_booted"


def test_the_files_do_not_say_whose_they_are(tmp_path):
    log = tmp_path / "serial.log"
    log.write_bytes(b"[    0.000000] Linux version 6.1\r\nweb-03 login: ")
    told = replayed(serial_log=log)
    assert (told["vm"]["id"], told["vm"]["name"], told["vm"]["agent"]["status"]) == (None, None, None)
    assert (told["verdict"]["scenario"], told["serialLog"]["outlook"]) == ("uncertain", "healthy")
    assert "az vm agent-diagnose -g RG -n VM" in told["verdict"]["nextSteps"][0]["command"]


def test_an_agent_that_met_no_network_is_scenario_3(tmp_path):
    told = replayed(agent_log=cut("nic-down-2.7.3.0.log", 250, tmp_path))
    assert (told["verdict"]["scenario"], told["verdict"]["confidence"]) == ("network-down", "likely")
    assert "Network is unreachable" in told["verdict"]["because"][0]["excerpt"]
    assert told["verdict"]["because"][0]["line"] > 80


def test_an_agent_whose_calls_time_out_may_be_blocked_or_cut_off(tmp_path):
    told = replayed(agent_log=cut("blocked-and-freed-2.7.3.0.log", 180, tmp_path))
    assert told["verdict"]["scenario"] == "uncertain"
    assert told["verdict"]["candidates"] == ["wire-server-blocked", "network-down", "platform"]


def test_failures_that_were_taken_back_are_no_verdict():
    told = replayed(agent_log=LOGS / "nic-down-2.7.3.0.log")
    assert told["verdict"]["scenario"] == "uncertain"
    assert told["verdict"]["summary"].startswith("The agent was at work when its log ended")


def test_an_answer_of_the_probe_gives_the_guests_own_word():
    told = replayed(probe_output=PROBES / "agent_faults" / "agent-masked.txt")
    assert told["verdict"]["scenario"] == "agent-stopped"
    assert told["verdict"]["cause"]["code"] == "L03"


@pytest.mark.parametrize("option", ["serial_log", "screenshot", "agent_log"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 512, b"\xff\xfe\x00", bytes(range(256)) * 9])
def test_foreign_files_give_a_verdict_and_no_traceback(tmp_path, option, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    assert replayed(**{option: file})["verdict"]["scenario"] == "uncertain"


def test_no_file_and_a_missing_file_say_what_to_do(tmp_path):
    with pytest.raises(RequiredArgumentMissingError, match="--serial-log"):
        replay(None, None, None, None)
    with pytest.raises(InvalidArgumentValueError, match=r"--agent-log: .*nothing cannot be read"):
        replay(None, None, str(tmp_path / "nothing"), None)
    with pytest.raises(InvalidArgumentValueError, match=r"--serial-log: .* cannot be read"):
        replay(str(tmp_path), None, None, None)


def test_a_screenshot_alone_is_looked_at(tmp_path):
    from tests import screens

    saved = tmp_path / "screen.png"
    saved.write_bytes(screens.png(screens.old_stop_screen(), 3))
    told = replayed(screenshot=saved)
    assert (told["screenshot"]["kind"], told["screenshot"]["path"]) == ("blue-screen", str(saved))
    saved.write_bytes(b"GIF89a")
    assert replayed(screenshot=saved)["screenshot"]["kind"] == "not-readable"
