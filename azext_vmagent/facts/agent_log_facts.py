"""What a saved log of the guest agent says: the types that ``agent_log.py`` fills, and the search in its newest run."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from azext_vmagent.facts.agent_log_rules import shown
from azext_vmagent.facts.agent_log_text import LINE_LIMIT, UNDATED, LogFormat, LogText
from azext_vmagent.facts.guest_facts import LogFacts, LogLine

#: a line of the log may be written a moment after the caller looked at the clock
_SKEW = timedelta(minutes=5)
_LINES = re.compile("[^\n]+")


class Lifecycle(str, Enum):
    """What the log told last about the agent's life."""

    STARTED = "started"
    WORKING = "working"
    WORKER_FAILED = "worker failed"
    UPDATING = "updating"
    DISABLED = "disabled"
    STOPPED = "stopped"
    EXITED = "exited"


@dataclass(frozen=True)
class Statement(LogLine):
    """A line of the newest run that is worth reading: a warning, an error, a start or an end.

    ``level`` is as the agent wrote it, empty where it wrote none (systemd, extensions).
    """

    level: str = ""


@dataclass(frozen=True)
class GoalState:
    """Whether the newest run could fetch its goal state (Linux).

    ``update_errors`` is ``UpdateGSErrors`` of the newest heartbeat, the failed fetches of the half hour before it
    (the agent counts anew after each), ``update_errors_before`` that of the heartbeat before, of the same run.
    """

    errors: int = 0
    newest_error: LogLine | None = None
    recovery: LogLine | None = None
    update_errors: int | None = None
    update_errors_before: int | None = None
    failing: bool | None = None

    @property
    def growing(self) -> bool | None:
        """More failed fetches than in the half hour before; None with less than two heartbeats."""
        if self.update_errors is None or self.update_errors_before is None:
            return None
        return self.update_errors > self.update_errors_before


@dataclass(frozen=True)
class LogRun:
    """The text of the newest run, for searching: its lines are read when they are asked for.

    ``start`` and ``line`` are where it begins, ``heads`` where its dated lines do.
    """

    log: LogText
    start: int = 0
    line: int = 1
    heads: array[int] = field(default_factory=lambda: array("q"))

    def lines(self, needle: str) -> Iterator[tuple[int, int, int]]:
        """(number, start, end) of each line with the needle in it, the newest first."""
        text, upper, number = self.log.text, len(self.log.text), None
        while (at := text.rfind(needle, self.start, upper)) >= 0:
            start = text.rfind("\n", self.start, at) + 1 or self.start
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            if number is None:
                number = self.line + text.count("\n", self.start, start)
            else:
                number -= text.count("\n", start, upper + 1)
            yield number, start, end
            if start <= self.start:
                return
            upper = start - 1

    def stamp(self, start: int) -> str:
        """The date of the entry that holds the line at ``start``."""
        index = bisect_right(self.heads, start) - 1
        head = self.log.head.match(self.log.text, self.heads[index]) if index >= 0 else None
        return head[1] if head else UNDATED

    def words(self, start: int, end: int) -> str:
        """A line without its date, cut at ``LINE_LIMIT``."""
        head = self.log.head.match(self.log.text, start)
        if head:
            start = head.start(2) - 1 if self.log.windows else head.end(1) + 1
        return self.log.text[start : min(end, start + LINE_LIMIT)]

    def finds(self, pattern: re.Pattern[str], start: int, end: int) -> bool:
        """Whether any line between has it."""
        lines = _LINES.finditer(self.log.text, start, end)
        return any(pattern.search(self.words(line.start(), line.end())) for line in lines)


@dataclass(frozen=True)
class AgentLogFacts:
    """What a saved log says; everything is empty or None for a file that is no agent's log (``format`` is None).

    ``first`` and ``newest`` are the times of the first and last dated line, ``versions`` all that were seen in their
    order, ``version`` the newest of the agent that works, ``daemon_version`` of the one that the image brought.
    ``starts`` counts the daemon's starts in the file; ``run_line`` is where the newest run begins, None when its start
    is not in the file (rotated away). ``end`` is what the log told last about the agent's life, ``end_line`` where;
    an agent that was killed, or whose VM was switched off, writes nothing.
    """

    format: LogFormat | None = None
    windows: bool | None = None
    lines: int = 0
    size: int = 0
    first: datetime | None = None
    newest: datetime | None = None
    local_time: bool = False
    versions: tuple[str, ...] = ()
    version: str = ""
    daemon_version: str = ""
    heartbeat: LogLine | None = None
    goal_state: GoalState = field(default_factory=GoalState)
    wire_server: LogFacts = field(default_factory=LogFacts)
    end: Lifecycle | None = None
    end_line: LogLine | None = None
    starts: int = 0
    run_line: int | None = None
    worker_starts: int = 0
    worker_failures: int = 0
    statements: tuple[Statement, ...] = ()
    run: LogRun | None = field(default=None, repr=False, compare=False)

    def age(self, time: datetime | None, asked: datetime | None = None) -> timedelta | None:
        """How old a time of this log is, see the module; None when it is not known or lies in the future."""
        now = self.newest if asked is None else asked
        if time is None or now is None or (asked is not None and self.local_time) or time - now > _SKEW:
            return None
        return max(now - time, timedelta(0))

    def search(
        self,
        needle: str,
        pattern: re.Pattern[str] | None = None,
        *,
        recovered_by: re.Pattern[str] | None = None,
        limit: int = 20,
    ) -> tuple[LogLine, ...]:
        """The newest lines of the newest run with ``needle`` in them, that ``pattern`` finds something in.

        The oldest first. ``needle`` is what makes it cheap: a fixed part of what the pattern looks for, in its case.
        ``recovered_by`` is what takes such a line back when it comes after it: only what was not taken back is
        returned. Both patterns see one line at a time, without its date. The lines of a traceback have the time of
        the entry that they belong to.
        """
        found: list[LogLine] = []
        if self.run is None or not needle:
            return ()
        later = len(self.run.log.text)
        for number, start, end in self.run.lines(needle):
            words = self.run.words(start, end)
            if needle not in words or (pattern is not None and not pattern.search(words)):
                continue
            if recovered_by is not None and self.run.finds(recovered_by, end, later):
                break
            later = start
            found.append(LogLine(self.run.log.before + number, self.run.log.time(self.run.stamp(start)), shown(words)))
            if len(found) >= limit:
                break
        return tuple(reversed(found))
