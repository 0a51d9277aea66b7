"""A whole log of the guest agent, given as a file: what it says happened to the agent. Pure; never raises.

Linux (``waagent.log`` of any version), Windows (``WaAppAgent.log``) and the journal's lines of the agent; the forms are
in ``agent_log_text.py``. What counts is the newest **run** of the agent: the lines since the daemon started last. Older
runs are history; only the Wire Server's run of failures (``wire_server``) goes on over a start, which ends none.

**Now.** A file may be old, and does not say when it was saved. So an age is measured against the newest line of the
log, unless the caller knows when the log was taken: then ``age(time, asked)``. Agents before 2.2.46 write local time
without saying which (``local_time``): ages within the log are right, ages against the time of asking are not known.

>>> log = parse_agent_log(b'''2023-03-13T15:44:01.906673Z INFO Daemon Daemon Azure Linux Agent Version:2.2.46
... 2023-03-13T15:44:04.906673Z INFO ExtHandler ExtHandler Azure Linux Agent (Goal State Agent version 2.9.1.1)
... 2023-03-13T15:44:09.906673Z ERROR ExtHandler ExtHandler Error fetching the goal state: [ProtocolError] x
... 2023-03-13T15:54:09.906673Z INFO ExtHandler ExtHandler Fetching the goal state recovered from previous errors.
... ''')
>>> log.format.value, log.version, log.end.value, log.goal_state.failing
('waagent', '2.9.1.1', 'working', False)
>>> log.search("Error fetching", recovered_by=GOAL_STATE_FETCHED)
()
>>> [line.line for line in log.search("Error fetching")]
[3]
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import NamedTuple

from azext_vmagent.facts.agent_log_facts import AgentLogFacts, GoalState, Lifecycle, LogRun, Statement
from azext_vmagent.facts.agent_log_rules import (
    GOAL_STATE_FETCHED,
    LINUX_NEEDLES,
    WireServerRun,
    goal_state_failed,
    shown,
    wire_server_answered,
)
from azext_vmagent.facts.agent_log_text import LINE_LIMIT, LogFormat, LogText, read
from azext_vmagent.facts.guest_facts import LogLine

__all__ = ["GOAL_STATE_FETCHED", "AgentLogFacts", "GoalState", "Lifecycle", "LogFormat", "Statement", "parse_agent_log"]

#: how many statements are kept, of lines that differ only in numbers the newest
STATEMENTS = 100
_VERSIONS = 20


def parse_agent_log(data: bytes) -> AgentLogFacts:
    """The facts in a saved log of the agent, whole, cut, empty or foreign; see the module."""
    text = read(data)
    reader = _WindowsReader(text) if text.windows else _LinuxReader(text)
    lines = text.text.count("\n") + (not text.text.endswith("\n")) if text.text else 0
    if not reader.read():
        return AgentLogFacts(lines=text.before + lines, size=len(data))
    return reader.facts(text.before + lines, len(data))


_UNIT = r"^systemd\[\d{1,10}\]: (?:%s) (?:(?:waagent|walinuxagent)\.service\b|.{0,20}Azure Linux Agent\b)"
_LINUX_LIFE = (
    (
        Lifecycle.STARTED,
        re.compile(rf"Azure Linux Agent Version: ?(?:WALinuxAgent-)?([\w.]{{1,40}})|{_UNIT % 'Started'}"),
    ),
    (
        Lifecycle.WORKING,
        re.compile(
            r"WALinuxAgent-([\w.]{1,40}) is running as the goal state agent|Goal State Agent version ([\w.]{1,40})\)"
        ),
    ),
    (
        Lifecycle.WORKER_FAILED,
        re.compile(
            r"Agent WALinuxAgent-\S{1,60} (?:launched with .{0,300}?)?failed with (?:return code|exception)"
            r"|ExtHandler process \S{1,60} .{0,300}?exited with return code"
        ),
    ),
    (Lifecycle.WORKING, re.compile("launched with command .{0,300}? is successfully running")),
    (Lifecycle.UPDATING, re.compile("(?:discovered|updating to) .{0,200} -- exiting")),
    (Lifecycle.DISABLED, re.compile("sleeping forever")),
    (Lifecycle.STOPPED, re.compile(rf" forwarding signal \d{{1,3}} to |{_UNIT % 'Stopp(?:ing|ed)'}")),
    (
        Lifecycle.EXITED,
        re.compile(
            r"Daemon is already running|Daemon ended with exception|^(?:systemd|\()\S{1,64}: .{0,80}?"
            r"(?:Main process exited|Failed with result|Start request repeated|Failed to start|Failed at step)"
        ),
    ),
)
_WINDOWS_LIFE = (
    (Lifecycle.STARTED, re.compile(r"WindowsAzureGuestAgent starting\. {1,3}Version (\S{1,40})")),
    (Lifecycle.UPDATING, re.compile("Stopping from update")),
    (Lifecycle.STOPPED, re.compile("WindowsAzureGuestAgent stopped")),
)
_LINUX_LIFE_NEEDLES = (
    "Agent Version", "is running as", "Goal State Agent version", "with return code", "with exception",
    "successfully running", "-- exiting", "sleeping forever", "forwarding signal",
    "already running", "systemd[", "(waagent)", "(python",
)  # fmt: skip
_WINDOWS_NEEDLES = ("fabric", "ControlSystem", "WindowsAzureGuestAgent st", "Stopping from update")
_QUIET_LEVELS = ("", "INFO", "VERBOSE", "HEART", "DEBUG")
_HEARTBEAT = re.compile(r"HeartbeatCounter: \d{1,9};HeartbeatId: ([\w-]{1,60});.{0,80}?UpdateGSErrors: (\d{1,9})")
_WORDS = re.compile("[^\n]{10,}")
_NO_DIGITS = str.maketrans("", "", "0123456789")


#: (number, date, text): made into a LogLine when the whole log is read, for most are forgotten before
Raw = tuple[int, str, str]


class Beat(NamedTuple):
    """A heartbeat with a count of errors; ``worker`` is the same for all of one process."""

    number: int
    worker: str
    errors: int


class _Reader(ABC):
    """One pass over the log; what belongs to a run is forgotten when the next one starts."""

    life: tuple[tuple[Lifecycle, re.Pattern[str]], ...] = ()

    def __init__(self, log: LogText) -> None:
        self.log = log
        self.wire = WireServerRun(log.windows)
        self.first = self.newest = self.stamp = self.rest = ""
        self.level = ""
        self.versions: dict[str, None] = {}
        self.version = self.daemon_version = ""
        self.heartbeat: Raw | None = None
        self.end: tuple[Lifecycle, Raw] | None = None
        self.by_systemd = False
        self.starts = 0
        self.run_line: int | None = None
        self._begin(0, 1)

    def _begin(self, start: int, number: int) -> None:
        self.run = LogRun(self.log, start, number)
        self.statements: dict[tuple[str, str], tuple[Raw, str]] = {}
        self.goal_errors = 0
        self.goal_error: Raw | None = None
        self.goal_recovery: Raw | None = None
        self.goal_failing: bool | None = None
        self.beats: tuple[Beat | None, Beat | None] = None, None
        self.worker_starts = self.worker_failures = 0

    def read(self) -> bool:
        """Whether there was a single dated line."""
        text, number, counted = self.log.text, 1, 0
        head_of = self.log.head.match
        for found in _WORDS.finditer(text):
            start = found.start()
            number += text.count("\n", counted, start)
            counted = start
            head = head_of(text, start)
            if head is None:
                self.line(number, text[start : min(found.end(), start + LINE_LIMIT)], False)
                continue
            self.stamp, self.level = head[1], head[2] or ""
            self.first = self.first or self.stamp
            begin = head.end() if self.log.windows else head.end(1)
            words = text[begin : min(found.end(), begin + LINE_LIMIT)].lstrip()
            event = self.event(words)
            if event and event[0] is Lifecycle.STARTED and not (event[1] and self.by_systemd):
                self._begin(start, number)
                self.starts += 1
                self.run_line = self.log.before + number
            self.run.heads.append(start)
            if event:
                self._lives(*event, number, words)
            self.line(number, words, True)
            # a journal holds lines that the daemon kept back until it ended
            if self.log.by_agent(self.stamp, self.level) and not (self.log.journal and self.stamp < self.newest):
                self.newest, self.rest = self.stamp, words
        return bool(self.newest)

    @abstractmethod
    def event(self, words: str) -> tuple[Lifecycle, str] | None:
        """What a dated line says about the agent's life, and the version that it names."""

    @abstractmethod
    def line(self, number: int, words: str, head: bool) -> None:
        """Any line."""

    def _told(self, words: str) -> tuple[Lifecycle, str] | None:
        for event, pattern in self.life:
            if found := pattern.search(words):
                return event, next((group for group in found.groups() if group), "").rstrip(".")
        return None

    def _lives(self, event: Lifecycle, version: str, number: int, words: str) -> None:
        systemd = words.startswith("systemd")
        if event is not Lifecycle.STARTED or systemd or not self.by_systemd:
            self.end = event, (number, self.stamp, words)
        if systemd:
            self.by_systemd = event is Lifecycle.STARTED
        if version:
            self.versions.setdefault(version)
            if len(self.versions) > _VERSIONS:
                del self.versions[next(iter(self.versions))]
        if event is Lifecycle.STARTED:
            self.daemon_version = version or self.daemon_version
        elif version:
            self.version = version
        if event is Lifecycle.WORKING and version and "[HEARTBEAT]" not in words:
            self.worker_starts += 1
        elif event is Lifecycle.WORKER_FAILED and ("launched with" in words or "ExtHandler process" in words):
            self.worker_failures += 1
        self.state(number, words)

    def state(self, number: int, words: str) -> None:
        """Keep a statement; of those that differ only in numbers the newest."""
        key = (self.level, words[:200].translate(_NO_DIGITS))
        self.statements.pop(key, None)
        self.statements[key] = (number, self.stamp, words), self.level
        if len(self.statements) > STATEMENTS:
            del self.statements[next(iter(self.statements))]

    def dated(self, number: int, stamp: str, words: str) -> LogLine:
        """A line as it is given to the caller."""
        return LogLine(self.log.before + number, self.log.time(stamp), shown(words))

    def facts(self, lines: int, size: int) -> AgentLogFacts:
        """What was read."""

        def one(line: Raw | None) -> LogLine | None:
            return self.dated(*line) if line else None

        newest, beat = self.log.time(self.newest), one(self.heartbeat)
        wire = self.wire.facts(self.dated)
        before, last = self.beats
        goal = GoalState(
            self.goal_errors,
            one(self.goal_error),
            one(self.goal_recovery),
            last.errors if last else None,
            before.errors if before else None,
            self.goal_failing,
        )
        said = [(self.dated(*line), level) for line, level in self.statements.values()]
        return AgentLogFacts(
            format=self.log.form(self.newest, self.rest.partition(" ")[2]),
            windows=self.log.windows,
            lines=lines,
            size=size,
            first=self.log.time(self.first),
            newest=newest,
            local_time=self.log.local(self.newest),
            versions=tuple(self.versions),
            version=self.version or self.daemon_version,
            daemon_version=self.daemon_version,
            heartbeat=beat,
            goal_state=goal,
            wire_server=replace(wire, newest=newest, lines=lines, size=size, heartbeat=beat),
            end=self.end[0] if self.end else None,
            end_line=self.dated(*self.end[1]) if self.end else None,
            starts=self.starts,
            run_line=self.run_line,
            worker_starts=self.worker_starts,
            worker_failures=self.worker_failures,
            statements=tuple(Statement(line.line, line.time, line.text, level) for line, level in said),
            run=self.run,
        )


class _LinuxReader(_Reader):
    life = _LINUX_LIFE

    def event(self, words: str) -> tuple[Lifecycle, str] | None:
        if not _any(_LINUX_LIFE_NEEDLES, words):
            return None
        # an event repeats a line of the daemon, or the last words of an agent that died before
        return None if "Event: name=" in words or "did not terminate cleanly" in words else self._told(words)

    def line(self, number: int, words: str, head: bool) -> None:
        if "HEARTBEAT]" in words or "op=HeartBeat" in words:
            self._beats(number, words)
        if not _any(LINUX_NEEDLES, words):
            return
        if self.log.journal and self.stamp < self.newest and wire_server_answered(words):
            return
        self.wire.take(number, self.stamp, words, head, self.level)
        if not head:
            return
        if GOAL_STATE_FETCHED.search(words):
            self.goal_recovery, self.goal_failing = (number, self.stamp, words), False
            if "recovered" in words:
                self.state(number, words)
        elif goal_state_failed(words):
            self.goal_errors += 1
            self.goal_error, self.goal_failing = (number, self.stamp, words), True
        if self.level not in _QUIET_LEVELS:
            self.state(number, words)

    def _beats(self, number: int, words: str) -> None:
        self.heartbeat = number, self.stamp, words
        found = _HEARTBEAT.search(words)
        if not found:
            return
        beat, before = Beat(number, found[1], int(found[2])), self.beats[1]
        before = before if before and before.worker == beat.worker else None
        self.beats = before, beat
        # none failed since the heartbeat before, which itself came after the newest error
        if before and not beat.errors and self.goal_error and self.goal_error[0] < before.number:
            self.goal_recovery, self.goal_failing = self.heartbeat, False


class _WindowsReader(_Reader):
    life = _WINDOWS_LIFE

    def event(self, words: str) -> tuple[Lifecycle, str] | None:
        if self.level == "HEART":
            return Lifecycle.WORKING, ""
        return self._told(words) if _any(_WINDOWS_NEEDLES, words) else None

    def line(self, number: int, words: str, head: bool) -> None:
        if self.level == "HEART":
            if head:
                self.heartbeat = number, self.stamp, words
        elif self.level != "INFO" or _any(_WINDOWS_NEEDLES, words):
            self.wire.take(number, self.stamp, words, head, self.level)
            if head and self.level not in _QUIET_LEVELS:
                self.state(number, words)


def _any(needles: tuple[str, ...], words: str) -> bool:
    for needle in needles:  # noqa: SIM110 - any() takes half as long again, on every line of a log
        if needle in words:
            return True
    return False
