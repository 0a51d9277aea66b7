"""Faults of the platform, per path: what a client must survive although the guest is fine.

A specification reads ``KIND[:ARGUMENT][*COUNT]@[METHOD ]REGEX``: ``429:5*2@GET /instanceView`` answers 429 with
``Retry-After: 5`` twice. The expression is searched in the path with its query, without regard to case.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from lab.guests.base import LabError

KINDS = {
    "429": "too many requests; argument: Retry-After in seconds (5)",
    "500": "internal server error",
    "503": "service unavailable",
    "slow": "the right answer, later; argument: seconds (30)",
    "reset": "the connection is reset instead of answered",
    "garbled": "a byte order mark and the right answer, cut in half",
    "denied": "403 AuthorizationFailed, naming the action",
    "cut": "a serial console's connection is lost; argument: after so many bytes from the guest (0)",
}
_DEFAULTS = {"429": 5.0, "slow": 30.0}
_SPECIFICATION = re.compile(
    r"(?P<kind>\w+)(?::(?P<argument>[0-9.]+))?(?:\*(?P<count>\d+))?@(?:(?P<method>[A-Z]+) )?(?P<path>.+)"
)


@dataclass
class Injection:
    """One fault. ``left`` counts down; None is for ever."""

    kind: str
    path: re.Pattern[str]
    method: str | None = None
    argument: float = 0.0
    left: int | None = None
    text: str = ""


def parse(specification: str) -> Injection:
    """Read a specification; LabError says what is wrong with it."""
    found = _SPECIFICATION.fullmatch(specification.strip())
    if not found or found["kind"] not in KINDS:
        kinds = ", ".join(KINDS)
        raise LabError(f"'{specification}' is not KIND[:ARGUMENT][*COUNT]@[METHOD ]REGEX with KIND one of {kinds}")
    try:
        path = re.compile(found["path"], re.IGNORECASE)
    except re.error as error:
        raise LabError(f"'{found['path']}' is not a regular expression: {error}") from error
    return Injection(
        found["kind"],
        path,
        found["method"],
        float(found["argument"] or _DEFAULTS.get(found["kind"], 0.0)),
        int(found["count"]) if found["count"] else None,
        specification.strip(),
    )


@dataclass
class Injections:
    """Those in force; the first that fits a request is taken."""

    _active: list[Injection] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, specification: str) -> None:
        """Put one more in force."""
        injection = parse(specification)
        with self._lock:
            self._active.append(injection)

    def clear(self) -> None:
        """None any more."""
        with self._lock:
            self._active.clear()

    def texts(self) -> list[str]:
        """The specifications in force."""
        with self._lock:
            return [one.text for one in self._active]

    def take(self, method: str, target: str) -> Injection | None:
        """The fault this request meets, counted."""
        with self._lock:
            for one in self._active:
                if (one.method is None or one.method == method) and one.path.search(target):
                    if one.left is not None:
                        one.left -= 1
                        if one.left <= 0:
                            self._active.remove(one)
                    return one
        return None
