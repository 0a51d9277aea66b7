"""The plan of a repair of several VMs, and what became of it, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Target, Verdict
from azext_vmagent.repair.model import RepairPlan
from azext_vmagent.repair.outcome import Ended, Outcome
from azext_vmagent.report.layout import Style, entry
from azext_vmagent.report.redaction import safe
from azext_vmagent.report.repair_text import change_lines, command_line, extent

_SUMMED = (
    (Outcome.REPAIRED, "repaired", "green"),
    (Outcome.NOTHING_TO_DO, "nothing to do", "green"),
    (Outcome.APPLIED, "applied", "yellow"),
    (Outcome.GOING_ON, "not over", "yellow"),
    (Outcome.REFUSED, "no repair", "yellow"),
    (Outcome.NOT_REPAIRED, "not repaired", "red"),
    (Outcome.NOT_STARTED, "not started", "yellow"),
)


class Turn(Protocol):
    """One VM of several, as far as it came."""

    target: Target
    found: Diagnosis | None
    error: dict[str, Any] | None
    planned: RepairPlan | None
    ended: Ended | None
    worse: str | None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None where the VM could not be asked."""


def plan_lines(turns: Sequence[Turn], style: Style) -> list[str]:
    """Each VM with its verdict, and its changes or why there are none."""
    changing = [turn.planned for turn in turns if turn.planned is not None and turn.planned.actions]
    title = f"No change for any of {len(turns)} virtual machines"
    if changing:
        title = f"Plan for {len(changing)} of {len(turns)} virtual machines, one after another ({extent(changing)})"
    lines = [style(title, "bold")]
    for turn in turns:
        lines += ["", style(safe(turn.target.name), "bold") + f"  {_verdict(turn)}"]
        lines += _planned(turn, style)
    return lines


def _verdict(turn: Turn) -> str:
    if turn.found is None:
        return "could not be asked"
    verdict = turn.found.verdict
    return f"{_scenario(verdict)} ({verdict.confidence.value}): {safe(verdict.summary)}"


def _scenario(verdict: Verdict) -> str:
    number = verdict.scenario.number
    return f"scenario {number}, {verdict.scenario.value}" if number else verdict.scenario.value


def _planned(turn: Turn, style: Style) -> Iterator[str]:
    if turn.planned is None:
        yield from entry("no repair", safe((turn.error or {}).get("error", {}).get("message", "")))
        return
    if turn.ended is not None and turn.ended.outcome is not Outcome.PLANNED:
        yield from entry("no repair", safe(turn.ended.why))
        yield from command_line("instead", turn.ended.command, style) if turn.ended.command else ()
        return
    yield from change_lines(turn.planned)


def after_lines(turns: Sequence[Turn], rest: str | None, style: Style) -> list[str]:
    """How many ended how, why it stopped, and the command for the rest."""
    lines = []
    for outcome, word, colour in _SUMMED:
        names = [turn.target.name for turn in turns if turn.outcome is outcome]
        if names:
            lines += [f"  {style(f'{word:<13}', colour)}{len(names)}: {safe(', '.join(names))}"]
    unasked = [turn.target.name for turn in turns if turn.outcome is None]
    lines += [f"  {'not asked':<13}{len(unasked)}: {safe(', '.join(unasked))}"] if unasked else []
    worse = next((turn for turn in turns if turn.worse), None)
    if worse is not None:
        title = f"Stopped: {worse.target.name} got worse: {worse.worse}"
        lines = [style(safe(title), "bold", "red"), *lines]
    else:
        lines = [style("All had their turn", "bold"), *lines]
    return [*lines, *(command_line("the rest", rest, style) if rest else [])]
