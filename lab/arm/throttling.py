"""ARM's token buckets and the headers that tell how much is left.

Subscription reads and writes: buckets of 250 and 200, refilled with 25 and 10 a second; an empty one answers 429. The
compute provider's own counters are shown, not enforced: they are per VM and minute, and a test may well poll faster.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field

from lab.arm.errors import too_many_requests

_UPDATES = re.compile(
    r"/virtualMachines/[^/]+/(start|restart|powerOff|redeploy|reapply|runCommand|runCommands/[^/]+)$", re.I
)
_LOW_COST = re.compile(
    r"/virtualMachines/[^/]+(/instanceView|/retrieveBootDiagnosticsData|/runCommands(/[^/]+)?)?$", re.I
)
_HIGH_COST = re.compile(r"/virtualMachines$", re.I)
_GET_OPERATION = re.compile(r"/operations/[^/]+$", re.I)


@dataclass
class Bucket:
    """A token bucket."""

    size: float
    refill: float
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = self.size, time.monotonic()

    def take(self) -> int | None:
        """Tokens left after this request, or None when there was none."""
        now = time.monotonic()
        self._level = min(self.size, self._level + (now - self._at) * self.refill)
        self._at = now
        if self._level < 1:
            return None
        self._level -= 1
        return int(self._level)


def resource_policy(method: str, path: str) -> tuple[str, int, int] | None:
    """The compute provider's counter for a request: name, and its size over 3 and 30 minutes."""
    if "/providers/microsoft.compute/" not in path.lower():
        return None
    if _GET_OPERATION.search(path):
        return "GetOperation", 15000, 150000
    if method == "GET" and _HIGH_COST.search(path):
        return "HighCostGet", 900, 9000
    if method in ("GET", "POST") and _LOW_COST.search(path):
        return "LowCostGet", 24000, 240000
    if method in ("PATCH", "PUT", "DELETE") or _UPDATES.search(path):
        return "UpdateVM", 1500, 15000
    return "DeleteVM", 1500, 15000


class Throttle:
    """The buckets of one subscription."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets = {"reads": Bucket(250, 25), "writes": Bucket(200, 10), "deletes": Bucket(200, 10)}
        self._used: dict[str, int] = {}

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Count a request; the headers that say what is left, or 429."""
        kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")
        scope = "subscription" if path.lower().startswith("/subscriptions/") else "tenant"
        with self._lock:
            left = self._buckets[kind].take()
            if left is None:
                raise too_many_requests(1, f"Number of '{kind}' requests for the subscription exceeded the limit.")
            shown = {f"x-ms-ratelimit-remaining-{scope}-{kind}": str(left)}
            policy = resource_policy(method, path)
            if policy:
                name, short, long = policy
                used = self._used[name] = self._used.get(name, 0) + 1
                left_short, left_long = max(short - used, 0), max(long - used, 0)
                shown["x-ms-ratelimit-remaining-resource"] = (
                    f"Microsoft.Compute/{name}3Min;{left_short},Microsoft.Compute/{name}30Min;{left_long}"
                )
        return shown
