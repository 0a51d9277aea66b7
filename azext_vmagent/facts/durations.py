"""Durations in words. Pure."""

from __future__ import annotations

from datetime import timedelta


def age(seconds: timedelta) -> str:
    """A duration for people: «34 min», «3 days».

    >>> age(timedelta(minutes=34)), age(timedelta(days=3, hours=2)), age(timedelta(seconds=5))
    ('34 min', '3 days', '5 s')
    """
    total = int(max(0, seconds.total_seconds()))
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if total >= 2 * size or (size == 60 and total >= 60):
            return f"{total // size} {unit}"
    return f"{total} s"
