"""A whole log of the agent, given as a file: every form of it, what it says, and what is no longer true."""

from __future__ import annotations

import doctest
import re
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azext_vmagent.facts import agent_dates, agent_log, agent_log_rules, agent_log_text
from azext_vmagent.facts.agent_log import (
    GOAL_STATE_FETCHED,
    STATEMENTS,
    AgentLogFacts,
    GoalState,
    Lifecycle,
    LogFormat,
    parse_agent_log,
)

LOGS = Path(__file__).parent / "agent_logs"


def recorded(name: str) -> bytes:
    return (LOGS / name).read_bytes()


def parse(*lines: str) -> AgentLogFacts:
    return parse_agent_log("".join(f"{line}\n" for line in lines).encode())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


#: the forms of a line, from WALinuxAgent's own test library (tests_e2e/tests/lib/agent_log.py) and domain knowledge
OLDEST = "2023/06/07 08:04:35.336313 WARNING Disabling guest agent in accordance with ovf-env.xml"
OLD = "2021/03/30 19:35:35.971742 INFO Daemon Azure Linux Agent Version:2.2.45"
WITHOUT_THREAD = "2021-05-28T01:17:40.683072Z INFO ExtHandler Wire server endpoint:168.63.129.16"
NEW = "2019-11-27T22:22:48.123985Z VERBOSE ExtHandler ExtHandler Report vm agent status"
EXTENSION = "2021/03/30 19:45:31 Azure Monitoring Agent for Linux started to handle."
STARTED = "2023-03-13T15:44:01.906673Z INFO Daemon Daemon Azure Linux Agent Version:2.2.46"
WORKING = "2023-03-13T15:44:04.906673Z INFO ExtHandler ExtHandler Azure Linux Agent (Goal State Agent version 2.9.1.1)"
TIMED_OUT = (
    "[ProtocolError] [Wireserver Exception] [HttpError] [HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out "
    "-- 6 attempts made"
)


def failed(clock: str) -> str:
    """Agents from 2.8 on."""
    return f"2023-03-13T{clock}.000000Z ERROR ExtHandler ExtHandler Error fetching the goal state: {TIMED_OUT}"


def recovered(clock: str) -> str:
    return (
        f"2023-03-13T{clock}.000000Z INFO ExtHandler ExtHandler Fetching the goal state recovered from previous errors. "
        "Fetched incarnation_2 (certificates: x)"
    )


def beat(clock: str, count: int, errors: int, worker: str = "61482AB8") -> str:
    return (
        f"2023-03-13T{clock}.000000Z INFO ExtHandler ExtHandler [HEARTBEAT] Agent WALinuxAgent-2.9.1.1 is running as the goal "
        f"state agent [DEBUG HeartbeatCounter: {count};HeartbeatId: {worker};DroppedPackets: 0;UpdateGSErrors: {errors};AutoUpdate: 1]"
    )


# -- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "form", "when", "local"), [
    (OLDEST, LogFormat.LINUX_OLD, "2023-06-07T08:04:35.336313", True),
    ("2017/12/24 18:05:11.429009 INFO Azure Linux Agent Version:2.2.14", LogFormat.LINUX_OLD, "2017-12-24T18:05:11.429009", True),
    (OLD, LogFormat.LINUX_LOCAL, "2021-03-30T19:35:35.971742", True),
    (WITHOUT_THREAD, LogFormat.LINUX, "2021-05-28T01:17:40.683072", False),
    (NEW, LogFormat.LINUX, "2019-11-27T22:22:48.123985", False),
    ("[00000005] [03/21/2024 14:21:37.18] [INFO]  x", LogFormat.WINDOWS, "2024-03-21T14:21:37.180000", False),
    ("[07/11/2019 21:04:07.05] [INFO]  x", LogFormat.WINDOWS, "2019-07-11T21:04:07.050000", False),
    ("[00000018] 2021-01-12T16:35:45Z [INFO]  x", LogFormat.WINDOWS_ISO, "2021-01-12T16:35:45", False),
    ("[00000013] 2022-11-08T11:09:33.460Z [INFO]  x", LogFormat.WINDOWS_ISO, "2022-11-08T11:09:33.460000", False),
])  # fmt: skip
def test_every_form_of_a_line_is_recognised(line: str, form: LogFormat, when: str, local: bool) -> None:
    log = parse(line)
    assert (log.format, log.first, log.newest, log.local_time) == (form, at(when), at(when), local)
    assert log.windows is form.value.startswith("WaAppAgent")
    assert log.wire_server.present is True


def test_the_newest_form_is_the_logs_form() -> None:
    log = parse(OLD, EXTENSION, WITHOUT_THREAD, NEW)
    assert (log.format, log.local_time, log.first) == (LogFormat.LINUX, False, at("2021-03-30T19:35:35.971742"))


def test_the_line_of_an_extension_gives_no_form_and_no_date() -> None:
    """Extensions write into the agent's log, with dates in local time beside the agent's in UTC."""
    log = parse(NEW, EXTENSION)
    assert (log.format, log.newest) == (LogFormat.LINUX, at("2019-11-27T22:22:48.123985"))


@pytest.mark.parametrize("data", [
    b"", b"\0\0\0", b"hello\nworld\n", b"\xff\xfe", b"\x89PNG\r\n\x1a\n", b"{}",
    b"[  OK  ] Started Azure Linux Agent.\r\nweb login: ", b"2025-01-01 a list of dates\n2025-01-02 that is no log\n",
        b"2023-03-13 15:44:04,906 - util.py[DEBUG]: cloud-init\n",
        b"2023-03-13 15:44:04 INFO a web server\n",
])  # fmt: skip
def test_another_file_is_no_agents_log(data: bytes) -> None:
    log = parse_agent_log(data)
    assert (log.format, log.windows, log.newest, log.end, log.statements) == (None, None, None, None, ())
    assert (log.wire_server.present, log.goal_state) == (None, GoalState())
    assert log.search("a") == ()


@pytest.mark.parametrize("how", [
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.encode() + b"\0" * 4096,
    lambda text: text.encode("utf-16-le"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["stopped-and-started-2.7.3.0.log", "stopped-and-started-journal.log"])
def test_the_same_is_read_however_the_file_was_saved(name: str, how) -> None:
    """PowerShell's > writes UTF-16 with CR LF; a log that was cut out of a disk ends in NULs."""
    text = recorded(name).decode()
    plain, saved = parse_agent_log(text.encode()), parse_agent_log(how(text))
    assert (saved.format, saved.newest, saved.end_line, saved.heartbeat) == (
        plain.format, plain.newest, plain.end_line, plain.heartbeat,
    )  # fmt: skip
    assert saved.statements == plain.statements
    assert saved.search("WireServer endpoint") == plain.search("WireServer endpoint")


def test_a_cut_first_and_last_line_are_lines_without_a_date() -> None:
    text = recorded("blocked-and-freed-2.7.3.0.log")
    log = parse_agent_log(text[30:-100])
    assert log.format is LogFormat.LINUX
    assert log.first == at("2026-11-23T22:53:53.561357")
    assert (log.lines, log.run_line, log.starts) == (336, None, 0)


# -- the life of the agent ---------------------------------------------------------------------------------------------


def test_only_the_run_since_the_newest_start_counts() -> None:
    log = parse_agent_log(recorded("stopped-and-started-2.7.3.0.log"))
    assert (log.starts, log.run_line, log.worker_starts, log.worker_failures) == (2, 85, 1, 0)
    assert (log.version, log.daemon_version, log.versions) == ("2.7.3.0", "2.7.3.0", ("2.7.3.0",))
    assert (log.end, log.lines) == (Lifecycle.WORKING, 197)
    assert log.heartbeat is not None
    assert (log.heartbeat.line, log.heartbeat.time) == (182, at("2026-11-23T22:53:05.736678"))
    assert log.search("forwarding signal 15") == ()
    assert all((line.line or 0) >= 85 for line in log.statements)


def test_an_agent_that_was_stopped() -> None:
    log = parse_agent_log(b"".join(recorded("stopped-and-started-2.7.3.0.log").splitlines(True)[:84]))
    assert log.end is Lifecycle.STOPPED
    assert log.end_line is not None
    assert log.end_line.time == at("2026-11-23T22:50:59.908027")
    assert "forwarding signal 15" in log.end_line.text


def test_a_worker_that_dies_again_and_again() -> None:
    log = parse_agent_log(b"".join(recorded("nic-down-2.7.3.0.log").splitlines(True)[:200]))
    assert (log.end, log.worker_starts, log.worker_failures) == (Lifecycle.WORKER_FAILED, 2, 1)
    whole = parse_agent_log(recorded("nic-down-2.7.3.0.log"))
    assert (whole.starts, whole.worker_starts, whole.worker_failures, whole.end) == (1, 6, 5, Lifecycle.WORKING)


@pytest.mark.parametrize(("line", "end", "version"), [
    ("INFO Daemon Daemon Agent WALinuxAgent-2.2.18 forwarding signal 15 to WALinuxAgent-2.2.31", Lifecycle.STOPPED, "2.9.1.1"),
    ("INFO ExtHandler ExtHandler Normal Agent upgrade discovered, updating to WALinuxAgent-2.10.0.3 -- exiting", Lifecycle.UPDATING, "2.9.1.1"),
    ("INFO ExtHandler ExtHandler Agent WALinuxAgent-2.2.47 discovered update WALinuxAgent-2.2.48 -- exiting", Lifecycle.UPDATING, "2.9.1.1"),
    ("INFO ExtHandler ExtHandler Agent WALinuxAgent-2.10.0.3 is running as the goal state agent", Lifecycle.WORKING, "2.10.0.3"),
    ("WARNING Daemon Daemon Agent WALinuxAgent-2.9.1.1 launched with command 'python3 -u bin/WALinuxAgent-2.9.1.1-py3.8.egg "
     "-run-exthandlers' failed with return code: 1", Lifecycle.WORKER_FAILED, "2.9.1.1"),
    ("WARNING Daemon Daemon Disabling the guest agent by sleeping forever; to re-enable, remove /var/lib/waagent/disable_agent "
     "and restart", Lifecycle.DISABLED, "2.9.1.1"),
    ("INFO Daemon Daemon Daemon is already running: 277", Lifecycle.EXITED, "2.9.1.1"),
    ("WARNING Daemon Daemon Daemon ended with exception -- Sleep 15 seconds and restart daemon", Lifecycle.EXITED, "2.9.1.1"),
    ("ERROR Daemon Daemon Event: name=WALinuxAgent, op=Restart, message=Agent did not terminate cleanly: [WALinuxAgent-2.9.1.1] "
     "[Agent WALinuxAgent-2.9.1.1 failed with exception: x]", Lifecycle.WORKING, "2.9.1.1"),
    ("INFO ExtHandler ExtHandler an extension -- exiting", Lifecycle.WORKING, "2.9.1.1"),
])  # fmt: skip
def test_the_last_word_on_the_agents_life(line: str, end: Lifecycle, version: str) -> None:
    """Wordings: WALinuxAgent daemon/main.py, ga/update.py; tests_e2e (agent_update)."""
    log = parse(STARTED, WORKING, f"2023-03-13T15:50:00.000000Z {line}")
    assert (log.end, log.version, log.daemon_version) == (end, version, "2.2.46")
    if end is not Lifecycle.WORKING:
        assert log.end_line is not None
        assert log.end_line.line == 3


def test_an_old_agent_without_names() -> None:
    """2.2.14 and 2.2.18 write neither Daemon nor ExtHandler, and a heartbeat that is an event."""
    log = parse(
        "2018/03/27 06:31:54.343546 INFO Azure Linux Agent Version:2.2.14",
        "2018/03/27 06:31:54.642036 INFO Agent WALinuxAgent-2.2.18 is running as the goal state agent",
        "2018/03/27 06:31:54.678825 INFO Event: name=WALinuxAgent-2.2.18, op=HeartBeat, message=",
        "2018/03/27 08:19:23.545609 INFO Agent WALinuxAgent-2.2.14 forwarding signal 15 to WALinuxAgent-2.2.18",
    )
    assert (log.format, log.version, log.daemon_version, log.end) == (
        LogFormat.LINUX_OLD,
        "2.2.18",
        "2.2.14",
        Lifecycle.STOPPED,
    )
    assert log.heartbeat is not None
    assert log.heartbeat.line == 3
    assert log.local_time


# -- the Wire Server and the goal state --------------------------------------------------------------------------------


def test_a_block_that_was_lifted_is_the_past() -> None:
    wire = parse_agent_log(recorded("blocked-and-freed-2.7.3.0.log")).wire_server
    assert (wire.failures, wire.first_failure) == ((), None)
    assert wire.past_failure is not None
    assert wire.past_failure.line == 178


def test_a_block_that_stands() -> None:
    log = parse_agent_log(b"".join(recorded("blocked-and-freed-2.7.3.0.log").splitlines(True)[:200]))
    assert log.wire_server.first_failure is not None
    assert (log.wire_server.first_failure.line, log.wire_server.failure_count) == (94, 2)
    assert log.wire_server.first_failure.time == at("2026-11-23T22:56:26.896024")
    assert log.wire_server.lines == 200


def test_a_failing_goal_state_and_its_recovery() -> None:
    log = parse(STARTED, WORKING, failed("15:45:00"), failed("15:46:00"))
    assert (log.goal_state.errors, log.goal_state.failing) == (2, True)
    assert log.goal_state.newest_error is not None
    assert (log.goal_state.newest_error.line, log.wire_server.failure_count) == (4, 2)
    log = parse(STARTED, WORKING, failed("15:45:00"), failed("15:46:00"), recovered("15:47:00"))
    assert (log.goal_state.errors, log.goal_state.failing, log.wire_server.failure_count) == (2, False, 0)
    assert log.goal_state.recovery is not None
    assert log.goal_state.recovery.line == 5


@pytest.mark.parametrize("done", [
    "INFO ExtHandler ProcessGoalState completed [incarnation 2; 18573 ms]",
    "INFO ExtHandler ExtHandler ProcessExtensionsInGoalState completed [Incarnation: 1; 55 ms]",
    "INFO ExtHandler ExtHandler ProcessExtensionsGoalState completed [etag_2824367392948713696 4073 ms]",
    "INFO ExtHandler ExtHandler Fetched new vmSettings [HostGAPlugin correlation ID: x eTag: 1 source: FastTrack]",
])  # fmt: skip
def test_a_new_worker_that_processed_a_goal_state_could_fetch_it(done: str) -> None:
    """It counts its own errors only, so it says of none that it recovered. Wordings: 2.2.39, 2.7.3, 2.9 and later."""
    log = parse(STARTED, WORKING, failed("15:45:00"), f"2023-03-13T15:50:00.000000Z {done}")
    assert (log.goal_state.failing, log.wire_server.failure_count) == (False, 0)
    assert log.wire_server.past_failure is not None


def test_the_goal_state_errors_of_2_2_45() -> None:
    """WALinuxAgent#1801 and #2355."""
    log = parse(
        "2020/01/19 09:13:16.774102 ERROR ExtHandler [ProtocolError] [Wireserver Exception] [HttpError] [HTTP Failed] POST "
        "http://168.63.129.16/machine?comp=telemetrydata -- IOError timed out -- 6 attempts made",
        "2020/01/19 09:15:21.783005 ERROR ExtHandler ProtocolError processing goal state, giving up [[ProtocolError] "
        "[Wireserver Exception] [HttpError] [HTTP Failed] GET http://168.63.129.16/machine/?comp=goalstate -- IOError timed out "
        "-- 6 attempts made]",
        "2021/07/16 18:43:34.761605 WARNING ExtHandler Exception retrieving extension handlers: [ProtocolError] Exceeded max "
        "retry updating goal state",
    )
    assert (log.goal_state.errors, log.goal_state.failing) == (2, True)
    assert (log.wire_server.failure_count, log.format) == (2, LogFormat.LINUX_LOCAL)


def test_a_build_that_was_blacklisted_and_the_images_own_that_took_over() -> None:
    """WALinuxAgent#319: a version may hold letters."""
    log = parse(
        "2016/07/13 17:08:20.263587 WARNING Agent WALinuxAgent-2.1.5.6 launched with command 'python3 -u "
        "bin/WALinuxAgent-2.1.5.rc6-py2.7.egg -run-exthandlers' failed with exception: Agent WALinuxAgent-2.1.5.6 restarted more "
        "than 3 times in 300 seconds",
        "2016/07/13 17:08:20.273802 WARNING Agent WALinuxAgent-2.1.5.6 is permanently blacklisted",
        "2016/07/13 17:08:20.274808 INFO Installed Agent WALinuxAgent-2.1.5.rc6 is the most current agent",
        "2016/07/13 17:08:20.663884 INFO Agent WALinuxAgent-2.1.5.rc6 is running as the goal state agent",
    )
    assert (log.version, log.end, log.worker_failures) == ("2.1.5.rc6", Lifecycle.WORKING, 1)
    assert [line.line for line in log.search("blacklisted")] == [2]


def test_the_errors_of_an_older_run_are_history() -> None:
    log = parse(STARTED, failed("15:45:00"), STARTED.replace("15:44", "15:50"), WORKING.replace("15:44", "15:51"))
    assert (log.goal_state, log.run_line) == (GoalState(), 3)
    assert log.search("Error fetching") == ()
    assert log.wire_server.failure_count == 1


def test_the_heartbeats_count_of_errors() -> None:
    log = parse(STARTED, WORKING, beat("16:00:00", 1, 3), beat("16:30:00", 2, 290))
    assert (log.goal_state.update_errors, log.goal_state.update_errors_before, log.goal_state.growing) == (290, 3, True)
    assert parse(STARTED, beat("16:00:00", 1, 3), beat("16:30:00", 2, 0)).goal_state.growing is False
    assert parse(STARTED, beat("16:00:00", 1, 3)).goal_state.growing is None
    assert parse(STARTED, beat("16:00:00", 1, 3, "one"), beat("16:30:00", 2, 290, "other")).goal_state.growing is None


def test_a_half_hour_without_an_error_takes_the_error_back() -> None:
    """Agents before 2.8 do not say that they recovered."""
    quiet = [failed("15:45:00"), beat("16:00:00", 1, 1), beat("16:30:00", 2, 0)]
    assert parse(STARTED, WORKING, *quiet).goal_state.failing is False
    assert parse(STARTED, WORKING, *quiet[:2]).goal_state.failing is True
    assert (
        parse(STARTED, WORKING, beat("16:00:00", 1, 0), failed("16:20:00"), beat("16:30:00", 2, 0)).goal_state.failing
        is True
    )


# -- searching ---------------------------------------------------------------------------------------------------------


def test_a_search_gives_line_time_and_text() -> None:
    (line,) = parse(
        STARTED,
        "2023-03-13T15:44:02.000000Z INFO Daemon Daemon x",
        "2023-03-13T15:44:03.000000Z WARNING Daemon Daemon Disabling the guest agent by sleeping forever; to re-enable, remove "
        "/var/lib/waagent/disable_agent and restart",
        "2023-03-13T15:44:04.000000Z INFO Daemon Daemon disable_agent was mentioned",
    ).search("disable_agent", re.compile("^WARNING .* sleeping forever"))
    assert (line.line, line.time) == (3, at("2023-03-13T15:44:03"))
    assert line.text.startswith("WARNING Daemon Daemon Disabling the guest agent")


def test_a_line_of_a_traceback_has_its_entrys_time() -> None:
    (line,) = parse_agent_log(recorded("blocked-and-freed-2.7.3.0.log")).search("exception.HttpError", limit=1)
    assert (line.line, line.time) == (178, at("2026-11-23T22:58:02.946432"))
    raw = recorded("blocked-and-freed-2.7.3.0.log").decode().splitlines()
    assert raw[178 - 1] == line.text


def test_what_was_taken_back_is_not_found() -> None:
    lines = [STARTED, WORKING, failed("15:45:00"), recovered("15:47:00"), failed("15:50:00"), failed("15:51:00")]
    log = parse(*lines)
    assert [line.line for line in log.search("Error fetching")] == [3, 5, 6]
    assert [line.line for line in log.search("Error fetching", recovered_by=GOAL_STATE_FETCHED)] == [5, 6]
    assert parse(*lines, recovered("15:59:00")).search("Error fetching", recovered_by=GOAL_STATE_FETCHED) == ()
    assert [line.line for line in parse(*lines).search("Error fetching", limit=1)] == [6]
    assert log.search("Error fetching", re.compile("no such thing")) == ()
    assert len(log.search("Error fetching", recovered_by=re.compile("^INFO .*recovered"))) == 2
    assert log.search("") == ()


def test_every_line_of_the_run_can_be_found() -> None:
    raw = recorded("nic-down-2.7.3.0.log").decode().replace("\t", " ").splitlines()
    log = parse_agent_log(recorded("nic-down-2.7.3.0.log"))
    found = log.search("a", limit=10_000)
    assert [line.line for line in found] == [
        n for n, text in enumerate(raw, 1) if re.sub(r"^2026\S+ ", "", text).count("a")
    ]
    assert all(line.text[:40].strip() in raw[(line.line or 0) - 1] for line in found)


# -- statements, ages, limits ------------------------------------------------------------------------------------------


def test_statements_keep_the_newest_of_each_kind() -> None:
    log = parse(STARTED, *(failed(f"16:{n:02}:00") for n in range(50)), WORKING)
    assert [(line.line, line.level) for line in log.statements] == [(1, "INFO"), (51, "ERROR"), (52, "INFO")]


def test_statements_are_bounded() -> None:
    names = [f"{a}{b}{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcdefgh"]
    log = parse(STARTED, *(f"2023-03-13T16:00:00.000000Z WARNING ExtHandler ExtHandler {name}" for name in names))
    assert len(log.statements) == STATEMENTS
    assert log.statements[-1].text.endswith("hhh")


def test_an_age_is_told_against_the_newest_line_or_the_time_of_asking() -> None:
    log = parse(STARTED, beat("16:00:00", 1, 0), failed("16:45:00"))
    assert log.heartbeat is not None
    assert log.age(log.heartbeat.time) == timedelta(minutes=45)
    assert log.age(log.heartbeat.time, at("2023-03-13T18:00:00")) == timedelta(hours=2)
    assert log.age(log.heartbeat.time, at("2023-03-13T15:58:00")) == timedelta(0)
    assert log.age(log.heartbeat.time, at("2023-03-13T12:00:00")) is None
    assert log.age(None) is None


def test_local_time_has_no_age_against_a_clock_elsewhere() -> None:
    log = parse(OLD, "2021/03/30 19:45:35.971742 INFO ExtHandler x")
    assert log.age(log.first) == timedelta(minutes=10)
    assert log.age(log.first, at("2021-03-30T20:00:00")) is None


def test_of_a_runaway_log_the_newest_part_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_log_text, "LARGEST", 20_000)
    data = recorded("blocked-and-freed-2.7.3.0.log")
    log = parse_agent_log(data)
    assert (log.lines, log.size) == (336, len(data))
    assert log.wire_server.recovery == parse_agent_log(data + b"").wire_server.recovery
    assert log.wire_server.recovery is not None
    assert log.wire_server.recovery.line == 335
    assert [line.line for line in log.search("Extension status", limit=1)] == [335]


def test_what_is_shown_holds_no_control_characters() -> None:
    log = parse(STARTED, "2023-03-13T15:44:03.000000Z ERROR ExtHandler \x1b[2J\x07evil\u202e")
    assert log.statements[-1].text == "ERROR ExtHandler [2Jevil"
    assert log.search("evil")[0].text == "ERROR ExtHandler [2Jevil"


LINE = b"2025-09-06T08:00:00.000000Z ERROR ExtHandler ExtHandler "


@pytest.mark.parametrize("unit", [
    b"x", b"\n", b"a\n", b"\0", b"[", b"168.63.129.16 ", b"168.63.129.16 GET vmSettings " * 60 + b"\n", LINE, LINE + b"x\n",
    LINE + b"Agent WALinuxAgent-1 launched with command \n", b" WARNING " * 200 + b"\n", b"Nov 23 22:50:40 azlab waagent[310]: \n",
    LINE + b"Error fetching the goal state: x\n", b"[00000011] [12/11/2018 06:27:55.66] [WARN]  168.63.129.16 \n", bytes(range(256)),
])  # fmt: skip
def test_hostile_repetition_takes_linear_time(unit: bytes) -> None:
    """Twenty times the input may not take much more than twenty times the time: here 2 MB in less than two seconds."""
    data = unit * (2_000_000 // len(unit))
    started = time.process_time()
    log = parse_agent_log(data)
    log.search("168.63.129.16", re.compile("no such thing"))
    log.search("Error", recovered_by=re.compile("no such thing"))
    assert time.process_time() - started < 2


pieces = st.sampled_from([
    b"\n", b"\r\n", b"\0", b"\xff\xfe", b"\xfe\xff", LINE, b"2023/03/13 15:44:06 ", b"9999-99-99T99:99:99Z INFO ", b"0000-00-00T00:00:00Z ",
    b"[00000006] [11/14/2019 05:52:13.44] [INFO]  ", b"[HEART] ", b"[99/99/9999 99:99:99] [WARN] ", b"Dec 31 23:59:59 vm python3[1]: ",
    b"9999-12-31T23:59:59-1400 vm systemd[1]: ", b"0001-01-01T00:00:00+1400 vm systemd[1]: ", b"Feb 30 10:00:00 vm systemd[1]: ",
    b"0001-01-01T00:00:00Z INFO ", b"9999-12-31T23:59:59Z INFO ", "13月 99 10:00:00 vm waagent: ".encode(), "²月 1".encode(),
    b"Stopped Azure Linux Agent.", b"Azure Linux Agent Version:", b"HEARTBEAT] HeartbeatCounter: 1;HeartbeatId: a;UpdateGSErrors: 9",
    b"168.63.129.16 timed out", b"Fetch goal state completed", b"WindowsAzureGuestAgent starting. Version ", "é\u202e".encode(), b"\xe9",
])  # fmt: skip


@settings(max_examples=400)
@given(st.binary(max_size=300) | st.lists(pieces | st.binary(max_size=5), max_size=30).map(b"".join))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    log = parse_agent_log(data)
    assert log.size == len(data)
    for found in (log.search("1"), log.search("a", re.compile("a"), recovered_by=re.compile("e"))):
        assert all(line.line is not None and 1 <= line.line <= log.lines for line in found)
    told = [*log.statements, *log.wire_server.failures, *log.wire_server.errors, log.heartbeat, log.end_line]
    assert all(1 <= (line.line or 0) <= log.lines for line in told if line is not None)


@pytest.mark.parametrize("module", [agent_dates, agent_log, agent_log_rules, agent_log_text])
def test_the_examples_in_the_docstrings_are_true(module) -> None:
    told = doctest.testmod(module)
    assert told.attempted
    assert not told.failed
