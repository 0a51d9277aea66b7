"""A Windows agent's log, and systemd's journal in place of a log: both tell what a Linux agent's log tells."""

from __future__ import annotations

import re

import pytest

from azext_vmagent.facts.agent_log import Lifecycle, LogFormat, parse_agent_log
from tests.facts.test_agent_log import at, parse, recorded

#: learn.microsoft.com, DevTest Labs, on an agent that starts slowly
WINDOWS = """\
[00000006] [11/14/2019 05:52:13.44] [INFO]  WindowsAzureGuestAgent starting. Version 2.7.41491.949
[00000006] [11/14/2019 05:52:31.77] [WARN]  Waiting for OOBE to Complete ...
[00000006] [11/14/2019 06:02:30.43] [WARN]  Waiting for OOBE to Complete ...
[00000006] [11/14/2019 06:02:33.43] [INFO]  StateExecutor initialization completed.
[00000020] [11/14/2019 06:02:33.43] [HEART] WindowsAzureGuestAgent Heartbeat.
"""
#: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues»
WINDOWS_BLOCKED = """\
[00000011] [12/11/2018 06:27:55.66] [WARN]  (Ignoring) Exception while fetching supported versions from HostGAPlugin: \
System.Net.WebException: Unable to connect to the remote server
---> System.Net.Sockets.SocketException: An attempt was made to access a socket in a way forbidden by its access \
permissions 168.63.129.16:32526
at System.Net.Sockets.Socket.DoConnect(EndPoint endPointSnapshot, SocketAddress socketAddress)
"""


# -- Windows -----------------------------------------------------------------------------------------------------------


def test_a_windows_agent() -> None:
    log = parse_agent_log(WINDOWS.encode())
    assert (log.windows, log.version, log.end, log.starts) == (True, "2.7.41491.949", Lifecycle.WORKING, 1)
    assert log.heartbeat is not None
    assert (log.heartbeat.line, log.heartbeat.time) == (5, at("2019-11-14T06:02:33.430000"))
    assert [(line.line, line.level) for line in log.statements if line.level == "WARN"] == [(3, "WARN")]
    assert [line.line for line in log.search("OOBE")] == [2, 3]
    assert log.search("OOBE")[0].text == "[WARN]  Waiting for OOBE to Complete ..."


@pytest.mark.parametrize(("more", "end"), [
    ("[00000006] [11/14/2019 07:00:00.00] [INFO]  WindowsAzureGuestAgent stopped successfully.\n", Lifecycle.STOPPED),
    ("[00000006] [11/14/2019 07:00:00.00] [WARN]  Stopping from update\n", Lifecycle.UPDATING),
    ("[00000006] [11/14/2019 07:00:00.00] [INFO]  WindowsAzureGuestAgent starting.  Version 2.7.41491.1010\n", Lifecycle.STARTED),
])  # fmt: skip
def test_the_end_of_a_windows_agent(more: str, end: Lifecycle) -> None:
    """Wordings: jpaztech.github.io, on the RdAgent's events at an update."""
    log = parse_agent_log((WINDOWS + more).encode())
    assert (log.end, log.starts) == (end, 1 + (end is Lifecycle.STARTED))
    assert (log.run_line == 6) == (end is Lifecycle.STARTED)


def test_a_blocked_windows_agent_and_a_discovered_fabric() -> None:
    blocked = parse_agent_log((WINDOWS + WINDOWS_BLOCKED).encode()).wire_server
    assert (blocked.failure_count, [line.line for line in blocked.failures]) == (1, [7])
    assert blocked.failures[0].time == at("2018-12-11T06:27:55.660000")
    freed = parse_agent_log(
        (
            WINDOWS + WINDOWS_BLOCKED + "[07/11/2019 21:04:40.25] [INFO]  Discovered fabric address on interface x.\n"
        ).encode()
    ).wire_server
    assert (freed.failures, freed.failure_count) == ((), 0)
    assert freed.past_failure == blocked.failures[0]


def test_the_windows_agents_own_filters_are_no_failure() -> None:
    """A public copy of a support article on BFEToolWin8: «no action needed»."""
    log = parse(
        "[00000013] 2022-11-08T11:09:33.460Z [ERROR]  BfeToolWin8.exe",
        "stdout = [00002884:00001768, INFO ] List all filters requested.",
        "[00002884:00001768, INFO ] Index: 3 Name: Block all outgoing to 168.63.129.16:32526 Key: failed",
    )
    assert (log.wire_server.failure_count, log.format) == (0, LogFormat.WINDOWS_ISO)


# -- the journal -------------------------------------------------------------------------------------------------------


def test_the_journal_says_the_same_as_the_log() -> None:
    log, journal = (parse_agent_log(recorded(f"stopped-and-started-{name}.log")) for name in ("2.7.3.0", "journal"))
    assert (journal.format, journal.windows) == (LogFormat.JOURNAL, False)
    assert (journal.newest, journal.version, journal.end, journal.starts) == (
        log.newest,
        log.version,
        log.end,
        log.starts,
    )
    assert log.heartbeat is not None
    assert journal.heartbeat is not None
    assert (journal.heartbeat.time, journal.heartbeat.text) == (log.heartbeat.time, log.heartbeat.text)
    assert journal.run_line is not None
    raw = recorded("stopped-and-started-journal.log").decode().splitlines()
    assert "Started walinuxagent.service" in raw[journal.run_line - 1]


def test_what_systemd_says_of_the_agent_counts_and_of_others_not() -> None:
    lines = recorded("stopped-and-started-journal.log").decode().splitlines(True)
    stopped = next(n for n, line in enumerate(lines) if "Stopped walinuxagent.service" in line)
    log = parse_agent_log("".join(lines[: stopped + 1]).encode())
    assert (log.end, log.newest) == (Lifecycle.STOPPED, at("2026-11-23T22:51:00"))
    assert log.end_line is not None
    assert log.end_line.text == "systemd[1]: Stopped walinuxagent.service - Microsft Azure Linux Agent."
    assert log.search("autofs4") == ()


@pytest.mark.parametrize("prefix", [
    "2023-03-14T11:29:09+0900 vm-123 ", "2023-03-14T11:29:09.123456+09:00 vm-123 ", "Mar 14 11:29:09 vm-123 ", "3月 14 11:29:09 vm-123 ",
])  # fmt: skip
def test_the_journals_dates_become_utc(prefix: str) -> None:
    """systemd's words: an agent whose start failed too often (WALinuxAgent#804). The short form has neither year nor zone."""
    own = "2023-03-14T02:29:08.000000Z INFO Daemon Daemon Azure Linux Agent Version:2.2.46"
    log = parse(
        f"{prefix}python3[9679]: {own}",
        f"{prefix}systemd[1]: walinuxagent.service: Main process exited, code=exited, status=1/FAILURE",
        f"{prefix}systemd[1]: walinuxagent.service: Start request repeated too quickly.",
    )
    assert (log.format, log.end, log.newest) == (LogFormat.JOURNAL, Lifecycle.EXITED, at("2023-03-14T02:29:09"))


def test_a_journal_without_a_year_has_no_dates() -> None:
    log = parse("Mar 14 11:29:09 vm systemd[1]: Failed to start Azure Linux Agent.")
    assert (log.format, log.newest, log.end) == (LogFormat.JOURNAL, None, Lifecycle.EXITED)


def test_the_year_turns_within_a_journal() -> None:
    log = parse(
        "Dec 31 23:59:58 vm python3[1]: 2025-12-31T23:59:58.000000Z INFO ExtHandler ExtHandler x",
        "Jan  1 00:00:02 vm systemd[1]: Stopped Azure Linux Agent.",
    )
    assert log.newest == at("2026-01-01T00:00:02")


def test_an_interpreters_last_words_are_dated_by_the_journal() -> None:
    """WALinuxAgent#2310: the daemon dies before its first line."""
    log = parse(
        "2023-03-14T02:29:08+0000 vm systemd[1]: Started Azure Linux Agent.",
        "2023-03-14T02:29:09+0000 vm python3[9679]: Traceback (most recent call last):",
        "2023-03-14T02:29:09+0000 vm python3[9679]: ModuleNotFoundError: No module named 'azurelinuxagent'",
        "2023-03-14T02:29:09+0000 vm systemd[1]: waagent.service: Main process exited, code=exited, status=1/FAILURE",
        "2023-03-14T02:29:10+0000 vm sshd[7]: ModuleNotFoundError: No module named 'azurelinuxagent'",
    )
    (line,) = log.search("No module named", re.compile("azurelinuxagent"))
    assert (line.line, line.time) == (3, at("2023-03-14T02:29:09"))
    assert log.end is Lifecycle.EXITED
