"""The exit code: one number for a script. Codes below 10 belong to az (1 error, 2 usage, 3 not found). Pure.

A diagnosis ends with 0 whatever it finds, unless ``--exit-code`` asks for the verdict's number. A repair or an undo
that was asked for and did not come about ends with 1, as every az command does that could not do what it was told.
"""

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
#: by ``repair.outcome``; the worse the end, the higher
REPAIR_CODES = {
    "repaired": 0,
    "undone": 0,
    "nothing-to-do": 20,
    "planned": 21,
    "applied": 22,
    "going-on": 23,
    "refused": 24,
    "needs-consent": 25,
    "not-started": 26,
    "not-repaired": 27,
    "not-undone": 28,
}
#: what a script that only wants it done need not look at
_DONE = ("repaired", "undone", "nothing-to-do", "planned", "applied")
NOT_ASKED = 1


def exit_code(documents: Iterable[dict[str, Any]]) -> int:
    """The code of one verdict; of several VMs the highest, but 1 as soon as one could not be asked."""
    return _of_all(CODES[d["verdict"]["scenario"]] if d.get("verdict") else NOT_ASKED for d in documents)


def repair_exit_code(documents: Iterable[dict[str, Any]], named: bool, dry_run: bool) -> int:
    """The code of a repair: of each outcome its own when ``named`` (``--exit-code``), else 0 or 1.

    A dry run has done what it was told, whatever it shows.
    """
    if not named and dry_run:
        return 0
    outcomes = [(d.get("repair") or {}).get("outcome") for d in documents]
    if named:
        return _of_all(REPAIR_CODES.get(outcome or "", NOT_ASKED) for outcome in outcomes)
    return 0 if all(outcome in _DONE for outcome in outcomes) else 1


def _of_all(codes: Iterable[int]) -> int:
    found = list(codes)
    return NOT_ASKED if NOT_ASKED in found else max(found, default=0)
