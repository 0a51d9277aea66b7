"""``-o table``: one row a VM, within 100 columns. After a repair the last column says how it ended."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from azext_vmagent.model import Scenario

WIDTH = 100
#: what the columns between Name and Next take at most, and two blanks before each
_BETWEEN = 9 + 11 + 22 + 5 + 10 + 2 * 6


def rows(result: Any) -> list[OrderedDict[str, str]]:
    """Rows for az's table printer, which keeps the order of the columns."""
    documents = result if isinstance(result, list) else [result]
    name_width = max([4, *(min(16, len(document["vm"]["name"])) for document in documents)])
    return [_row(document, WIDTH - _BETWEEN - name_width) for document in documents]


def _row(document: dict[str, Any], next_width: int) -> OrderedDict[str, str]:
    vm, verdict = document["vm"], document.get("verdict")
    if verdict is None:
        error = document.get("error") or {}
        return _columns(
            vm["name"], "", "", f"error: {error.get('code', '')}", "", "", _cut(error.get("message", ""), next_width)
        )
    agent, cause = vm["agent"], verdict.get("cause") or {}
    scenario = verdict["scenario"]
    numbers = [str(Scenario(candidate).number or candidate) for candidate in verdict["candidates"]]
    if verdict["number"]:
        scenario = f"{verdict['number']} {scenario}"
    elif numbers:
        scenario = f"{scenario}: {' or '.join(numbers)}"
    since = (agent["since"] or {}).get("time") or ""
    repair = document.get("repair") or {}
    step = next((s["action"] for s in verdict["nextSteps"]), "")
    if repair.get("outcome"):
        step = f"{repair['outcome']}: {repair['why']}"
    return _columns(
        vm["name"],
        agent["status"] or "",
        since[5:16].replace("T", " "),
        scenario,
        cause.get("code", ""),
        verdict["confidence"],
        _cut(step, next_width),
    )


def _columns(
    name: str, agent: str, since: str, scenario: str, cause: str, confidence: str, step: str
) -> OrderedDict[str, str]:
    return OrderedDict(
        Name=_cut(name, 16),
        Agent=agent,
        Since=since,
        Scenario=_cut(scenario, 22),
        Cause=cause,
        Confidence=confidence,
        Next=step,
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
