"""The bytes of a saved agent log as text whose entries begin with their date. Pure; never raises; linear time.

UTF-8, or UTF-16 as PowerShell's ``>`` writes it; NULs and other control characters are taken out, CR LF is one end of
line. A journal (``journalctl -u walinuxagent``, short, short-precise or short-iso, or the syslog file) loses what comes
before the agent's own date; systemd's word on the agent gets the date of its line, what others say an empty line: the
number of a line stays the one an editor shows.

>>> print(read(b"Nov 23 22:50:40 azlab waagent[310]: 2026-11-23T22:50:40.392041Z INFO ExtHandler ExtHandler x\\n"
...            b"Nov 23 22:50:59 azlab systemd[1]: Stopping walinuxagent.service - Azure Linux Agent...\\n").text)
2026-11-23T22:50:40.392041Z INFO ExtHandler ExtHandler x
2026-11-23T22:50:59Z systemd[1]: Stopping walinuxagent.service - Azure Linux Agent...
<BLANKLINE>
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum

from azext_vmagent.facts.agent_dates import linux_time, windows_time

#: what is read at most, in bytes: the newest; the agent's logrotate cuts at 20 MB, a runaway log has had 15 GB
LARGEST = 64 * 1024 * 1024
#: the head of one line that is looked at; the agent's own longest lines are status reports
LINE_LIMIT = 2000
#: a date that is not known: reads as none
UNDATED = "0000-00-00T00:00:00Z"

_NOT_TEXT = bytes([*range(9), 0x0B, 0x0C, *range(0x0D, 0x20), 0x7F])
_LEVELS = "VERBOSE|INFO|WARNING|ERROR"
LINUX_HEAD = re.compile(
    rf"(\d{{4}}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{{1,9}})?Z?) ?(?:({_LEVELS})\b ?)?", re.ASCII
)
#: ``[00000011] [12/11/2018 06:27:55.66] [WARN]  text``, ``[00000018] 2021-01-12T16:35:45Z [INFO]  text`` or without id
WINDOWS_HEAD = re.compile(r"(?:\[\d{1,10}\] )?\[?(\d[\d/-]{7,11}[T ][\d:.]{5,18}Z?)\]? \[(\w{1,12})\] {0,4}", re.ASCII)
_PREFIX = (
    r"(?:(\w{3}|\d{1,2}月) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)(?:\.\d{1,9})?"
    r"|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?([+-]\d\d:?\d\d))"
    r" \S{1,64} ([\w.@()-]{1,64}(?:\[\d{1,10}\])?): "
)
_JOURNAL = re.compile(rf"^{_PREFIX}(.*)$", re.MULTILINE)
_WITH_BOTH = re.compile(rf"^{_PREFIX}(?=\d{{4}}[-/]\d\d[-/]\d\d[T ])([^\n]{{0,40}})", re.MULTILINE)
_OURS = re.compile(r"(?:waagent|walinuxagent|python[\d.]{0,5})(?:\[|$)", re.IGNORECASE)
_OUR_UNIT = re.compile(r"waagent|walinuxagent|Azure Linux Agent", re.IGNORECASE)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SAMPLE = 400


class LogFormat(str, Enum):
    """How the newest entries of a log are written."""

    #: ``2017/12/24 18:05:11.429009 INFO text``, in local time; seen up to 2.2.18
    LINUX_OLD = "waagent, local time, without a name"
    #: ``2019/02/20 09:52:35.006480 INFO Daemon text``, in local time; seen from 2.2.32 to 2.2.45
    LINUX_LOCAL = "waagent, local time"
    #: ``2025-06-03T17:37:04.528500Z INFO Daemon Daemon text``; since 2.2.46, then without the thread
    LINUX = "waagent"
    #: ``[00000005] [03/21/2024 14:21:37.18] [INFO]  text``
    WINDOWS = "WaAppAgent"
    #: ``[00000018] 2021-01-12T16:35:45Z [INFO]  text``
    WINDOWS_ISO = "WaAppAgent, ISO dates"
    JOURNAL = "journal"


@dataclass(frozen=True)
class LogText:
    """``text`` holds the newest lines, ``before`` says how many came before them and were not read."""

    text: str
    before: int
    windows: bool
    journal: bool

    @property
    def head(self) -> re.Pattern[str]:
        """What an entry begins with: group 1 is its date, group 2 its level."""
        return WINDOWS_HEAD if self.windows else LINUX_HEAD

    def time(self, stamp: str) -> datetime | None:
        """An entry's date as a time. Dates with slashes are the guest's local time, taken for UTC; see ``local``."""
        return windows_time(stamp) if self.windows else linux_time(stamp)

    def by_agent(self, stamp: str, level: str) -> bool:
        """Whether the agent or systemd wrote this entry; the Linux agent's log also has lines of extensions, which give
        no level, and another program's log is none of ours: it writes ``2025-01-01 10:00:00 INFO``.
        """
        if self.windows or self.journal:
            return True
        return bool(level) and (self.local(stamp) or (stamp[10:11] == "T" and stamp.endswith("Z")))

    def local(self, stamp: str) -> bool:
        """Whether a date is in the guest's local time: the Linux agent's before 2.2.46."""
        return not self.windows and stamp[4:5] == "/"

    def form(self, stamp: str, rest: str) -> LogFormat:
        """The format of an entry."""
        if self.windows:
            return LogFormat.WINDOWS_ISO if "T" in stamp else LogFormat.WINDOWS
        if self.journal:
            return LogFormat.JOURNAL
        if not self.local(stamp):
            return LogFormat.LINUX
        return LogFormat.LINUX_LOCAL if rest.startswith(("Daemon ", "ExtHandler ", "[")) else LogFormat.LINUX_OLD


def read(data: bytes) -> LogText:
    """A saved log as text; see the module."""
    data, before = _newest(data)
    text = data.translate(None, _NOT_TEXT).decode("utf-8", "replace")
    heads = [line[:LINE_LIMIT] for line in text[: 200 * _SAMPLE].split("\n", _SAMPLE)[:_SAMPLE]]
    heads += [line[:LINE_LIMIT] for line in text[-200 * _SAMPLE :].rsplit("\n", _SAMPLE)[-_SAMPLE:]]
    journal = sum(1 for line in heads if _JOURNAL.match(line))
    # a journal's own date in ISO form begins like the agent's
    linux = sum(1 for line in heads if LINUX_HEAD.match(line) and not _JOURNAL.match(line))
    windows = sum(1 for line in heads if WINDOWS_HEAD.match(line))
    is_journal = journal > max(linux, windows)
    if is_journal:
        text = _without_prefixes(text)
    return LogText(text, before, windows > linux and not is_journal, is_journal)


def _newest(data: bytes) -> tuple[bytes, int]:
    """(the newest bytes in UTF-8, the number of lines before them)."""
    before = 0
    wide = next((name for bom, name in _WIDE.items() if data.startswith(bom)), None)
    if len(data) > LARGEST:
        at = (len(data) - LARGEST) & ~1
        before = data.count(b"\n", 0, at)
        data = data[at:]
    if wide:
        return data.decode(wide, "replace").encode("utf-8", "replace"), before
    return data.removeprefix(BOM_UTF8), before


_WIDE = {BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}


def _without_prefixes(text: str) -> str:
    clock = _Clock.of(text)
    dated_by = ""

    def own_words(found: re.Match[str]) -> str:
        nonlocal dated_by
        month, day, time, moment, offset, who, said = found.groups()
        if _OURS.match(who):
            if LINUX_HEAD.match(said):
                dated_by = who
                clock.tick(said)
                return said
            if who == dated_by:
                # the rest of a message of several lines: the journal holds each as one of its own
                return said
        elif not (who.startswith(("systemd", "(")) and _OUR_UNIT.search(said[:LINE_LIMIT])):
            return ""
        else:
            said = f"{who}: {said}"
        stamp = clock.iso(moment, offset) if moment else clock.short(month, day, time)
        return f"{stamp} {said}"

    return _JOURNAL.sub(own_words, text)


class _Clock:
    """Dates of journal lines in UTC. The short form has neither year nor time zone: both are learned from a line of the
    agent that holds its own date as well; without one they stay unknown.
    """

    def __init__(self, seen: datetime | None = None, offset: timedelta | None = None) -> None:
        self._seen, self._offset = seen, offset

    @classmethod
    def of(cls, text: str) -> _Clock:
        found = _WITH_BOTH.search(text)
        seen = linux_time(found[7]) if found else None
        if not found or seen is None or found[7][4] == "/" or found[4]:
            return cls(seen)
        clock = cls(seen, timedelta(0))
        outer = linux_time(clock.short(found[1], found[2], found[3]))
        if outer is None:
            return cls(seen)
        quarters = round((seen - outer) / timedelta(minutes=15))
        return cls(seen, timedelta(minutes=15) * quarters)

    def tick(self, said: str) -> None:
        """The agent's own date went by: the year of the lines around it."""
        seen = linux_time(said[:30])
        if seen is not None:
            self._seen = seen

    def iso(self, moment: str, offset: str) -> str:
        try:
            stamp = datetime.fromisoformat(f"{moment}{offset[:3]}:{offset[-2:]}").astimezone(timezone.utc)
        except (ValueError, OverflowError):
            return UNDATED
        return f"{stamp.isoformat()[:19]}Z"

    def short(self, month: str, day: str, time: str) -> str:
        if self._seen is None or self._offset is None:
            return UNDATED
        number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month[:-1]) if month[-1] == "月" else 0
        years = range(max(1, self._seen.year - 1), min(9998, self._seen.year + 1) + 1)
        stamps = [linux_time(f"{year:04}-{number:02}-{int(day):02}T{time}Z") for year in years]
        found = [stamp for stamp in stamps if stamp is not None]
        if not found:
            return UNDATED
        seen = self._seen
        try:
            stamp = min(found, key=lambda one: abs(one - seen)) + self._offset
        except OverflowError:
            return UNDATED
        return f"{stamp.isoformat()[:19]}Z"
