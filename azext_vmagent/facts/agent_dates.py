"""The dates that the agents write into their logs, as times. Pure; never raises on any input."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_LINUX = re.compile(r"(\d{4}[-/]\d\d[-/]\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?", re.ASCII)
_WINDOWS = (
    (re.compile(r"(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)(?:\.(\d+))?", re.ASCII), "%m/%d/%Y %H:%M:%S"),
    (re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?", re.ASCII), "%Y-%m-%dT%H:%M:%S"),
)


def linux_time(text: str) -> datetime | None:
    """The first time in a text, as the agent, ``date`` or systemd print it in UTC; None for anything else.

    >>> linux_time("2026-11-23T22:56:26.639211Z").isoformat(), linux_time("Mon 2026-11-23 22:50:28 UTC").isoformat()
    ('2026-11-23T22:56:26.639211+00:00', '2026-11-23T22:50:28+00:00')
    """
    found = _LINUX.search(text)
    if not found:
        return None
    day, clock, fraction = found.groups()
    try:
        stamp = datetime.fromisoformat(f"{day.replace('/', '-')}T{clock}+00:00")
    except ValueError:
        return None
    return stamp.replace(microsecond=_microseconds(fraction))


def windows_time(text: str) -> datetime | None:
    """A time of the Windows probe, or one of the two forms that the agent's logs use; all are UTC.

    >>> windows_time("12/11/2018 06:27:55.66").isoformat(), windows_time("2021-01-12T16:35:45Z").isoformat()
    ('2018-12-11T06:27:55.660000+00:00', '2021-01-12T16:35:45+00:00')
    """
    for pattern, form in _WINDOWS:
        found = pattern.match(text)
        if found:
            try:
                stamp = datetime.strptime(found[1], form).replace(tzinfo=timezone.utc)
            except ValueError:
                return None
            return stamp.replace(microsecond=_microseconds(found[2])) if 1970 <= stamp.year <= 2200 else None
    return None


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "0")[:6].ljust(6, "0"))
