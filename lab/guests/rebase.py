"""Moves the wall-clock times in recorded text to another day, so that a recording reads as if it had just been made.

Only times within ``WINDOW`` of the recording are moved: protocol versions (``2015-04-05``), build dates and the like
stay. Every form keeps its width, so columns and truncated tails keep their shape. Recorded guests keep UTC.
"""

from __future__ import annotations

import base64
import gzip
import re
import textwrap
from datetime import datetime, timedelta, timezone

#: how far from the moment of recording a time may lie and still belong to it
WINDOW = timedelta(days=2)

_WEEKDAY = r"(?:(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
#: 2026-11-23T22:50:37, Mon 2026-11-23 22:53:48 (systemctl), 2026/11/23 22:50:37 (agents before 2.2.46)
_NUMERIC = re.compile(
    _WEEKDAY + r"(?<!\d)(?P<date>\d{4}(?P<sep>[-/])\d\d(?P=sep)\d\d)(?P<gap>[T ])(?P<clock>\d\d:\d\d:\d\d)(?!\d)"
)
#: Nov 23 22:50:18 (journal, syslog), Mon Nov 23 22:50:18 UTC 2026 (date, the login banner)
_NAMED = re.compile(
    _WEEKDAY
    + rf"\b(?P<month>{'|'.join(_MONTHS)}) (?P<day>[ \d]?\d) (?P<clock>\d\d:\d\d:\d\d)(?!\d)"
    + r"(?P<zone> UTC (?P<year>\d{4}))?"
)
#: 1795474218, 1795474218.25
_EPOCH = re.compile(r"(?<![\d.])\d{10}(?!\d)")

#: the probe's answer, packed, and the checksum in the last line of any: moved times have another one, so none is said
_PACKED = re.compile(r"^(vmagent-probe 1 gzip\n)((?:[A-Za-z0-9+/=]+\n)+)(?=end )", re.MULTILINE)
_CHECKSUM = re.compile(r"^(end [\d.]+ \d+) \d+$", re.MULTILINE)


def shift_answer(text: str, recorded_at: float, seconds: float) -> str:
    """Return what a script printed with its times moved as by ``shift_text``, inside a packed answer too."""

    def packed(match: re.Match[str]) -> str:
        moved = shift_text(gzip.decompress(base64.b64decode(match[2])).decode(), recorded_at, seconds)
        return match[1] + textwrap.fill(base64.b64encode(gzip.compress(moved.encode())).decode(), 76) + "\n"

    if "vmagent-probe" in text:
        text = _CHECKSUM.sub(r"\1 -", text)
    return _PACKED.sub(packed, shift_text(text, recorded_at, seconds))


def shift_text(text: str, recorded_at: float, seconds: float) -> str:
    """Return ``text`` with every time near ``recorded_at`` (epoch seconds) moved by whole ``seconds``."""
    moment = datetime.fromtimestamp(recorded_at, timezone.utc)
    delta = timedelta(seconds=round(seconds))

    def near(when: datetime) -> bool:
        return abs(when - moment) <= WINDOW

    def numeric(match: re.Match[str]) -> str:
        when = _parsed(match["date"].replace("/", "-"), match["clock"])
        if when is None or not near(when):
            return match[0]
        moved = when + delta
        date = moved.strftime("%Y-%m-%d").replace("-", match["sep"])
        return f"{_weekday(match, moved)}{date}{match['gap']}{moved:%H:%M:%S}"

    def named(match: re.Match[str]) -> str:
        years = [int(match["year"])] if match["year"] else [moment.year - 1, moment.year, moment.year + 1]
        month = _MONTHS.index(match["month"]) + 1
        dates = [_parsed(f"{year:04}-{month:02}-{int(match['day']):02}", match["clock"]) for year in years]
        when = next((date for date in dates if date and near(date)), None)
        if when is None:
            return match[0]
        moved = when + delta
        day = f"{moved.day:{len(match['day'])}d}"
        zone = f" UTC {moved.year}" if match["zone"] else ""
        return f"{_weekday(match, moved)}{_MONTHS[moved.month - 1]} {day} {moved:%H:%M:%S}{zone}"

    def epoch(match: re.Match[str]) -> str:
        value = int(match[0])
        return str(value + round(seconds)) if abs(value - recorded_at) <= WINDOW.total_seconds() else match[0]

    return _EPOCH.sub(epoch, _NAMED.sub(named, _NUMERIC.sub(numeric, text)))


def _parsed(date: str, clock: str) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _weekday(match: re.Match[str], moved: datetime) -> str:
    if not match["weekday"]:
        return ""
    return f"{moved:%a}" + match[0][len(match["weekday"]) : match[0].index(" ") + 1]
