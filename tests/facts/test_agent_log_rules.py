"""The rules for an agent's log exist three times: here in Python, and in the probes that read it where it lies."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azext_vmagent.facts.agent_log import parse_agent_log
from azext_vmagent.facts.agent_log_rules import WINDOWS_BAD, WINDOWS_FINE, WINDOWS_WIRE
from azext_vmagent.facts.agent_log_text import WINDOWS_HEAD
from azext_vmagent.facts.guest import LogFacts, LogLine, parse_probe
from azext_vmagent.guest import probe_script, windows_probe_script

LOGS = Path(__file__).parent / "agent_logs"

#: the awk of the probe cuts text at this many characters
PROBE_CUT = 200

needs_awk = pytest.mark.skipif(shutil.which("awk") is None, reason="NOT TRIED: no awk on this machine")


def probed(folder: Path, log: bytes) -> LogFacts:
    """What the probe's own function makes of a log."""
    saved = folder / "waagent.log"
    saved.write_bytes(log)
    function = re.search(r"^agent_log\(\) \{\n.*?^\}\n", probe_script(), re.MULTILINE | re.DOTALL)[0]
    assert function.count("log=/var/log/waagent.log") == 1
    ran = subprocess.run(
        ["sh", "-c", function.replace("log=/var/log/waagent.log", 'log="$0"') + "agent_log", str(saved)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return parse_probe(f"vmagent-probe 1\n{ran.stdout}end 1 0\n").log


def seen(line: LogLine | None) -> tuple[object, ...] | None:
    """A line as both can give it: the probe cuts its text, and the date of a line before any dated one is none."""
    return None if line is None else (line.line, line.time, line.text.strip()[: PROBE_CUT // 2])


def told(log: LogFacts) -> dict[str, object]:
    """All that is decided about a log."""
    return {
        "newest": log.newest,
        "lines": log.lines,
        "failures": [seen(line) for line in log.failures],
        "count": log.failure_count,
        "first": seen(log.first_failure),
        "past": seen(log.past_failure),
        "recovery": seen(log.recovery),
        "heartbeat": seen(log.heartbeat),
        "plugin": seen(log.host_plugin),
        "errors": [seen(line) for line in log.errors],
    }


@needs_awk
@pytest.mark.parametrize("name", [path.name for path in sorted(LOGS.glob("*2.7.3.0.log"))])
@pytest.mark.parametrize("part", [1.0, 0.75, 0.5, 0.3, 0.2])
def test_the_probe_and_the_reader_make_the_same_of_a_recorded_log(tmp_path: Path, name: str, part: float) -> None:
    log = (LOGS / name).read_bytes()
    log = log[: round(len(log) * part)]
    log = log[: log.rindex(b"\n") + 1]
    assert told(parse_agent_log(log).wire_server) == told(probed(tmp_path, log))


#: lines of several versions; wordings: WALinuxAgent wire.py, goal_state.py, update.py, hostplugin.py by tag
LINES = [
    "INFO ExtHandler ExtHandler Fetch goal state completed",
    "INFO Daemon Daemon Wire protocol version:2012-11-30",
    "INFO ExtHandler ExtHandler ProcessGoalState completed [incarnation 2; 4496 ms]",
    "INFO ExtHandler ExtHandler Fetching the goal state recovered from previous errors. Fetched incarnation_2",
    "INFO ExtHandler ExtHandler Extension status: [('Microsoft.CPlat.Core.RunCommandLinux', 'success')]",
    "ERROR ExtHandler ExtHandler Error fetching the goal state: [ProtocolError] [Wireserver Exception] [HttpError] "
    "[HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out -- 6 attempts made",
    "ERROR ExtHandler ExtHandler Error fetching the goal state: [ProtocolError] GET vmSettings [correlation ID: e162f7c3 "
    "eTag: 9757461589808963322]: Timeout",
    "WARNING ExtHandler ExtHandler An error occurred while retrieving the goal state:",
    "WARNING MonitorHandler ExtHandler Error in SendHostPluginHeartbeat: [HttpError] [HTTP Failed] "
    "GET http://168.63.129.16:32526/health -- IOError timed out -- 1 attempts made",
    "ERROR ExtHandler ExtHandler Event: name=WALinuxAgent, op=HostPlugin, message=HostGAPlugin: Exception Get API versions: x",
    "ERROR ExtHandler ExtHandler Event: name=WALinuxAgent, op=ReportStatus, message=Failed to upload status blob via either channel",
    "WARNING Daemon Daemon Agent WALinuxAgent-2.7.3.0 launched with command 'python3' failed with return code: 1",
    "ERROR Daemon Daemon Event: name=WALinuxAgent, op=Enable, message=Agent launched failed with return code: 1",
    "INFO Daemon Daemon No route exists to 168.63.129.16",
    "WARNING ExtHandler ExtHandler Unknown property: compute.azEnvironment",
    "WARNING ExtHandler ExtHandler Agent is permanently blacklisted",
    "INFO ExtHandler ExtHandler [HEARTBEAT] Agent WALinuxAgent-2.9.1.1 is running as the goal state agent [DEBUG "
    "HeartbeatCounter: 1;HeartbeatId: 805116B5-4BBC-4C9C-BD32-E4A00AE45DCA;UpdateGSErrors: 2;AutoUpdate: 1;UpdateMode: SelfUpdate;]",
    "INFO Daemon Daemon Disabling the guest agent by sleeping forever; to re-enable, remove /var/lib/waagent/disable_agent",
    "INFO Daemon Daemon Daemon is already running: 277",
    "ERROR ExtHandler ExtHandler [Errno 28] No space left on device",
    "INFO ExtHandler ExtHandler Fetched new vmSettings [HostGAPlugin correlation ID: x eTag: 1 source: FastTrack]",
    "INFO ExtHandler ExtHandler ProcessExtensionsInGoalState completed [Incarnation: 1; 55 ms]",
    "INFO ExtHandler ExtHandler ProcessExtensionsInGoalState started [Incarnation: 1]",
    "INFO ExtHandler ExtHandler ProcessExtensionsGoalState completed [etag_2824367392948713696 4073 ms]",
    "ERROR ExtHandler ExtHandler Fetching the goal state is still failing: x",
    "ERROR Daemon Daemon Protocol endpoint not found: x",
    "INFO Daemon Daemon WireServer is not responding. Reset endpoint",
    "INFO Daemon Daemon Route to 168.63.129.16 exists",
    *(f"INFO ExtHandler ExtHandler GET http://168.63.129.16/machine/ {end}" for end in (
        "[Errno 113] x", "Connection refused", "Refused", "Unreachable", "unreachable", "timed out", "200")),
    *(f"INFO ExtHandler ExtHandler PUT http://168.63.129.16:32526/status {end}" for end in (
        "IOError", "HttpError", "Failed", "Timeout", "Errno", "200")),
    "INFO ExtHandler ExtHandler HostGAPlugin: Failed Get API versions",
    "WARNING MonitorHandler ExtHandler Error in SendHostPluginHeartbeat: [HttpError] [HTTP Failed] GET "
    "http://168.63.129.16/machine/ -- IOError timed out -- 6 attempts made --- [NOTE: Will not log the same error]",
    *(f"WARNING ExtHandler ExtHandler it {end}" for end in ("failed with x", "exited", "return code 1", "Blacklist", "blacklist")),
    "INFO Daemon Daemon Waiting for cloud-init to copy ovf-env.xml to /var/lib/waagent/ovf-env.xml [360 retries remaining, sleeping 5s]",
]  # fmt: skip
REST = [
    "azurelinuxagent.common.exception.HttpError: [HttpError] [HTTP Failed] GET http://168.63.129.16/machine/ -- IOError x",
    '    message = u"An error occurred while retrieving the goal state: {0}".format(textutil.format_exception(e))',
    "Traceback (most recent call last):",
    "OSError: [Errno 28] No space left on device",
    "[stdout]",
]
DATES = [
    "2023-03-13T15:44:04.906673Z ",
    "2023-03-13T15:44:05.000000Z ",
    "2023/03/13 15:44:06.000000 ",
    "2023/03/13 15:45:00 ",
]
entries = st.lists(
    st.builds(str.__add__, st.sampled_from(DATES), st.sampled_from(LINES)) | st.sampled_from(REST), max_size=12
)


@needs_awk
def test_the_probe_and_the_reader_make_the_same_of_every_line_between_failures(tmp_path: Path) -> None:
    failure = LINES[5]
    for line in (*LINES, *REST):
        dated = line if line in REST else DATES[1] + line
        log = "".join(f"{one}\n" for one in (DATES[0] + failure, dated, DATES[2] + failure)).encode()
        assert told(parse_agent_log(log).wire_server) == told(probed(tmp_path, log)), line


@needs_awk
@settings(max_examples=150)
@given(entries)
def test_the_probe_and_the_reader_make_the_same_of_any_mixture(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    log = "".join(
        f"{line}\n" for line in ["2023-03-13T15:44:01.000000Z INFO Daemon Daemon OS: debian 12", *lines]
    ).encode()
    assert told(parse_agent_log(log).wire_server) == told(probed(tmp_path_factory.mktemp("log"), log))


def in_powershell(name: str) -> str:
    """The pattern that ``probe.ps1`` holds in a variable."""
    return re.search(rf"\${name} = '([^'\n]+)'$", windows_probe_script(), re.MULTILINE)[1]


def test_the_windows_probe_uses_the_same_words() -> None:
    assert (in_powershell("wire"), in_powershell("bad"), in_powershell("fine")) == (
        WINDOWS_WIRE,
        WINDOWS_BAD,
        WINDOWS_FINE,
    )


@pytest.mark.parametrize("line", [
    "[00000011] [12/11/2018 06:27:55.66] [WARN]  text",
    "[00000018] 2021-01-12T16:35:45Z [INFO]  text",
    "[00000013] 2022-11-08T11:09:33.460Z [INFO]  text",
    "[07/11/2019 21:04:07.05] [INFO]  text",
    "[00000020] [11/14/2019 06:02:33.43] [HEART] text",
    "[00002884:00001768, INFO ] Filters found: Yes",
    "   at System.Net.WebClient.DownloadString",
])  # fmt: skip
def test_the_windows_probe_takes_the_same_lines_for_dated_ones(line: str) -> None:
    probes = re.search(r"if \(\$line -match '([^'\n]+)'", windows_probe_script())[1]
    theirs, ours = re.match(probes, line), WINDOWS_HEAD.match(line)
    assert (theirs and theirs.group(1, 2)) == (ours and ours.group(1, 2))
    assert (ours is None) == ("text" not in line)
