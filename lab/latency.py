"""How long Azure takes, roughly, per kind of request and operation: off unless asked for.

Orders of magnitude from public recordings and from the documentation (a run command: «minimum about 20 seconds»); they
make the laboratory's timings comparable with each other, not with a given region.
"""

from __future__ import annotations

import re

MODES = ("none", "azure")

_REQUESTS = (
    (re.compile(r"/retrieveBootDiagnosticsData$", re.IGNORECASE), 0.45),
    (re.compile(r"/providers/Microsoft\.Insights/", re.IGNORECASE), 0.6),
    (re.compile(r"/providers/Microsoft\.ResourceHealth/", re.IGNORECASE), 0.5),
    (re.compile(r"/instanceView$", re.IGNORECASE), 0.3),
    (re.compile(r"/virtualMachines/[^/]+/\w+$", re.IGNORECASE), 0.6),
    (re.compile(r"/virtualMachines(/[^/]+)?$", re.IGNORECASE), 0.35),
    (re.compile(r"/providers/Microsoft\.Network/", re.IGNORECASE), 0.2),
    (re.compile(r"/bootdiagnostics-", re.IGNORECASE), 0.15),
)
_OTHER_REQUESTS = 0.1
_OPERATIONS = {
    "runCommand": 20.0,
    "managedRunCommand": 20.0,
    "restart": 25.0,
    "start": 25.0,
    "powerOff": 15.0,
    "deallocate": 40.0,
    "redeploy": 90.0,
}


def of_request(mode: str, path: str) -> float:
    """Seconds before a request is answered."""
    if mode != "azure":
        return 0.0
    return next((seconds for pattern, seconds in _REQUESTS if pattern.search(path)), _OTHER_REQUESTS)


def of_operation(mode: str, action: str) -> float:
    """Seconds that an asynchronous operation takes at least."""
    return _OPERATIONS.get(action, 10.0) if mode == "azure" else 0.0


def retry_after(mode: str) -> int:
    """Seconds a client is told to wait between two polls of an operation."""
    return 10 if mode == "azure" else 1
