"""What a line of an agent's log proves about the Wire Server: the rules, and the run of failures they add up to. Pure.

The probes read a log where it lies, with these same rules in awk (``probe.sh: agent_log``) and PowerShell (``probe.ps1:
$checks['log']``), for a log does not fit through their channels. ``tests/facts/test_agent_log_rules.py`` holds them
together: both must make the same of the same log. Wordings by version of the agent: WALinuxAgent ``wire.py``,
``goal_state.py``, ``update.py``; Windows: learn.microsoft.com «Troubleshoot Azure Windows VM Agent issues».
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from azext_vmagent.facts.console_text import printable
from azext_vmagent.facts.guest_facts import LogFacts, LogLine

Dated = Callable[[int, str, str], LogLine]

#: how many of the newest lines of a kind are kept, as many as the probe prints
KEPT = 3

_FETCHED = (
    "Fetch goal state completed|oal state recovered from previous|Fetched new vmSettings"
    "|rocess(?:Extensions(?:In)?)?GoalState completed"
)
_ANSWERED = re.compile(rf"{_FETCHED}|Wire protocol version:|Extension status: \[")
#: the goal state was fetched, or is worked on: what an error of fetching it is taken back by
GOAL_STATE_FETCHED = re.compile(_FETCHED)
_NO_GOAL_STATE = "[Ee]rror fetching the goal state|retrieving the goal state:|goal state is still failing"
_SILENT = re.compile(r"IOError|timed out|Errno|[Rr]efused|[Uu]nreachable")
_FAILED = re.compile(
    rf"{_NO_GOAL_STATE}|either channel|Protocol endpoint not found|WireServer is not responding|No route exists to 168"
)
_GOAL_STATE_FAILED = re.compile(
    rf"{_NO_GOAL_STATE}|processing goal state, giving up|Exceeded max retry updating goal state"
)
_HOST_PLUGIN = re.compile(r"HostGAPlugin: (?:Exception|Failed)|SendHostPluginHeartbeat")
_PLUGIN_FAILED = re.compile(r"IOError|HttpError|Failed|Timeout|Errno")
_COMPLAINT = re.compile(" ERROR |No space left|sleeping forever|Daemon is already running|Waiting for cloud-init")
_DIED = re.compile("failed with|exited|return code|[Bb]lacklist")

#: Windows: the wording of PowerShell's patterns, which do not mind case
WINDOWS_WIRE = r"168\.63\.129\.16|GetVersions\(\) failed|forbidden by its access permissions|Did not discover fabric"
WINDOWS_BAD = "fail|exception|unable|timed out|timeout|forbidden|Did not discover|error"
WINDOWS_FINE = "Discovered fabric address|ControlSystem initialized with version"
_WINDOWS_WIRE, _WINDOWS_BAD, _WINDOWS_FINE, _OWN_FILTERS = (
    re.compile(words, re.IGNORECASE) for words in (WINDOWS_WIRE, WINDOWS_BAD, WINDOWS_FINE, r"^\[|BfeTool")
)

#: a line that holds none of these says nothing to the rules for waagent.log
LINUX_NEEDLES = (
    "168.63.", "oal state", "oal State", "oalState", "HostGAPlugin", "HostPlugin", "vmSettings", "Extension status",
    "either channel", "rotocol", "WireServer", "ERROR", "WARNING", "No space", "sleeping forever", "already running",
    "Waiting for cloud-init",
)  # fmt: skip


def wire_server_answered(text: str) -> bool:
    """Whether this line of waagent.log can only be written after the Wire Server answered: a run of failures ends."""
    return _ANSWERED.search(text) is not None


def wire_server_failed(text: str) -> bool:
    """Whether this line of waagent.log says that the Wire Server's port 80 did not answer.

    >>> wire_server_failed("[HTTP Failed] GET http://168.63.129.16/machine/ -- IOError timed out -- 6 attempts made")
    True
    """
    at = text.find("168.63.129.16")
    if at >= 0 and _SILENT.search(text, at):
        return True
    return _both(text, "GET vmSettings", ": Timeout") or _FAILED.search(text) is not None


def host_plugin_failed(text: str) -> bool:
    """Whether this line of waagent.log says that port 32526 (HostGAPlugin) did not answer."""
    return (":32526" in text and _PLUGIN_FAILED.search(text) is not None) or _HOST_PLUGIN.search(text) is not None


def goal_state_failed(text: str) -> bool:
    """Whether this line of waagent.log says that the goal state could not be fetched, whatever the reason."""
    return _both(text, "GET vmSettings", ": Timeout") or _GOAL_STATE_FAILED.search(text) is not None


def _complains(text: str) -> bool:
    at = text.find(" WARNING ")
    return _COMPLAINT.search(text) is not None or (at >= 0 and _DIED.search(text, at) is not None)


def _both(text: str, first: str, then: str) -> bool:
    """Both, in this order; in one pass, however often a hostile line repeats the first."""
    at = text.find(first)
    return at >= 0 and text.find(then, at) >= 0


@dataclass
class WireServerRun:
    """Follows a log line by line; ``facts`` is what it came to.

    ``take`` is given the text as the log has it, without its date if it begins with one; ``head`` says that it does.
    The date is kept as it was written and read only for the lines that stay.
    """

    windows: bool
    _run: deque[tuple[int, str, str]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _count: int = 0
    _told_at: str = ""
    _said: str = ""
    _first: tuple[int, str, str] | None = None
    _past: tuple[int, str, str] | None = None
    _recovery: tuple[int, str, str] | None = None
    _plugin: tuple[int, str, str] | None = None
    _errors: deque[tuple[int, str, str]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def take(self, number: int, stamp: str, text: str, head: bool, level: str) -> None:
        """One line; ``level`` is that of its entry."""
        if self.windows:
            self._take_windows((number, stamp, f"[{level}] {text}"), text, level)
        else:
            self._take_linux((number, stamp, text), text, head)

    def _take_linux(self, line: tuple[int, str, str], text: str, head: bool) -> None:
        if wire_server_answered(text):
            self._ends(line)
            return
        if host_plugin_failed(text):
            self._plugin = line
        if wire_server_failed(text):
            # a traceback repeats its message, and quotes code that holds the same words
            code = not head and text[:1] in (" ", "\t")
            port_80 = ":32526" not in text and "SendHostPluginHeartbeat" not in text
            if port_80 and not code and not (self._count and line[1] == self._told_at):
                self._told_at = line[1]
                self._fails(line)
            return
        if _complains(f" {text}" if head else text):
            # the event repeats the daemon's own line
            if text != self._said and not _both(text, "op=Enable, message=", "return code"):
                self._errors.append(line)
            self._said = text

    def _take_windows(self, line: tuple[int, str, str], text: str, level: str) -> None:
        # the agent lists its own filters («Block all outgoing to 168.63.129.16:80»): no failure
        if not line[1] or _OWN_FILTERS.search(text):
            return
        if _WINDOWS_FINE.search(text):
            self._ends(line)
        elif level == "INFO":
            return
        elif _WINDOWS_WIRE.search(text) and _WINDOWS_BAD.search(text):
            self._fails(line)
        elif level == "ERROR" and not text.lstrip().startswith("at "):
            self._errors.append(line)

    def _ends(self, line: tuple[int, str, str]) -> None:
        if self._run:
            self._past = self._run[-1]
        self._run.clear()
        self._count, self._first, self._recovery = 0, None, line

    def _fails(self, line: tuple[int, str, str]) -> None:
        self._first = self._first or line
        self._count += 1
        self._run.append(line)

    def facts(self, dated: Dated) -> LogFacts:
        """The run so far, without what only the whole file knows (size, number of lines, newest, heartbeat)."""

        def one(line: tuple[int, str, str] | None) -> LogLine | None:
            return dated(*line) if line else None

        return LogFacts(
            present=True,
            failures=tuple(dated(*line) for line in self._run),
            failure_count=self._count,
            first_failure=one(self._first),
            past_failure=one(self._past),
            recovery=one(self._recovery),
            host_plugin=one(self._plugin),
            errors=tuple(dated(*line) for line in self._errors),
        )


def shown(text: str) -> str:
    """A line's text as it may be shown, without what only lengthens it."""
    return printable(re.sub(r"HeartbeatId: [^;]{0,60};", "", text[:1000].replace("\t", " ")))
