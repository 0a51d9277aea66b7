"""``--exit-code``: one number for a script. Codes below 10 belong to az (1 error, 2 usage, 3 not found)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CODES = {
    "healthy": 0,
    "uncertain": 10,
    "agent-stopped": 11,
    "wire-server-blocked": 12,
    "network-down": 13,
    "os-not-running": 14,
    "agent-degraded": 15,
    "vm-not-running": 16,
    "no-agent-expected": 17,
    "provisioning": 18,
    "platform": 19,
}
NOT_ASKED = 1


def exit_code(documents: Iterable[dict[str, Any]]) -> int:
    """The code of one verdict; of several VMs the highest, but 1 as soon as one could not be asked."""
    codes = [CODES[d["verdict"]["scenario"]] if d.get("verdict") else NOT_ASKED for d in documents]
    return NOT_ASKED if NOT_ASKED in codes else max(codes, default=0)
