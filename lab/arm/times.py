"""Times as Azure writes them. Everything inside the laboratory is epoch seconds."""

from __future__ import annotations

from datetime import datetime, timezone


def moment(seconds: float) -> datetime:
    """Epoch seconds as an aware UTC time."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def arm_time(seconds: float) -> str:
    """ARM's seven fractional digits (``2025-04-01T09:13:01.1234560+00:00``), which not every parser takes."""
    return f"{moment(seconds):%Y-%m-%dT%H:%M:%S.%f}0+00:00"


def status_time(seconds: float) -> str:
    """The time of an instance view status: whole seconds."""
    return f"{moment(seconds):%Y-%m-%dT%H:%M:%S}+00:00"


def zulu(seconds: float) -> str:
    """Whole seconds with a ``Z``, as metrics, health and SAS parameters have it."""
    return f"{moment(seconds):%Y-%m-%dT%H:%M:%SZ}"


def parse(text: str) -> float:
    """Epoch seconds of an ISO 8601 time (fractions of any length, ``Z`` or an offset; no offset means UTC)."""
    text = text.strip().replace("Z", "+00:00").replace("z", "+00:00")
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp()
