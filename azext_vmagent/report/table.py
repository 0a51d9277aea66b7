"""``-o table``: one row a VM, within 100 columns."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

NEXT_WIDTH = 34


def rows(result: Any) -> list[OrderedDict[str, str]]:
    """Rows for az's table printer, which keeps the order of the columns."""
    documents = result if isinstance(result, list) else [result]
    return [_row(document) for document in documents]


def _row(document: dict[str, Any]) -> OrderedDict[str, str]:
    vm, verdict = document["vm"], document.get("verdict")
    if verdict is None:
        error = document.get("error") or {}
        return _columns(vm["name"], "", "", f"error: {error.get('code', '')}", "", "", error.get("message", ""))
    agent, cause = vm["agent"], verdict.get("cause") or {}
    scenario = verdict["scenario"]
    if verdict["number"]:
        scenario = f"{verdict['number']} {scenario}"
    since = (agent["since"] or {}).get("time") or ""
    step = next((s["command"] or s["action"] for s in verdict["nextSteps"]), "")
    return _columns(
        vm["name"], agent["status"] or "", since[5:16].replace("T", " "), scenario, cause.get("code", ""), verdict["confidence"], step
    )


def _columns(name: str, agent: str, since: str, scenario: str, cause: str, confidence: str, step: str) -> OrderedDict[str, str]:
    return OrderedDict(
        Name=_cut(name, 16),
        Agent=agent,
        Since=since,
        Scenario=_cut(scenario, 22),
        Cause=cause,
        Confidence=confidence,
        Next=_cut(step, 100 - 2 * 6 - max(4, min(16, len(name))) - 9 - 11 - 22 - 5 - 10),
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
