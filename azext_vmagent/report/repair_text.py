"""The plan of a repair for people: each change, its way in and its risk, how it is undone, what proves it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from azext_vmagent.model import Verdict
from azext_vmagent.repair.model import Action, RepairPlan, Risk
from azext_vmagent.repair.outcome import Ended
from azext_vmagent.report.layout import LABEL, Style, entry
from azext_vmagent.report.redaction import printable, safe
from azext_vmagent.report.text import step_lines

_RISKS = {
    Risk.NONE: "",
    Risk.AGENT_RESTART: "risk: the agent restarts",
    Risk.REBOOT: "risk: the VM restarts",
    Risk.DATA: "risk: data",
}


def repair_lines(plan: RepairPlan, verdict: Verdict, style: Style) -> list[str]:
    """The plan, or the refusal with what to do instead (unless the report above has just said it)."""
    if plan.refusal is not None:
        lines = [style("No repair", "bold", "yellow"), *entry("because", safe(plan.refusal.why))]
        if plan.refusal.next_steps and plan.refusal.next_steps != verdict.next_steps:
            return [*lines, *step_lines(plan.refusal.next_steps, style)]
        return [*lines, *(entry("instead", "the steps above") if plan.refusal.next_steps else [])]
    count = len(plan.actions)
    title = f"Plan ({count} change{'s' if count > 1 else ''}, {extent([plan])})"
    return [style(title, "bold"), *change_lines(plan)]


def change_lines(plan: RepairPlan) -> list[str]:
    """Each change, what nobody has tried yet, and the causes that none of them cures."""
    lines = entry("untried", plan.untried) if plan.untried else []
    for number, action in enumerate(plan.actions, 1):
        lines += entry(str(number), safe(action.change))
        lines += entry("", " · ".join(_notes(action, plan)))
    for cause in plan.remains:
        lines += entry("remains", f"{cause.code}  {safe(cause.title)}: not cured by this plan")
    return lines


def ended_lines(ended: Ended, style: Style) -> list[str]:
    """Nothing was changed, why, and the command that leads on."""
    lines = [style(f"Nothing was changed: {safe(ended.why)}.", "bold")]
    return [*lines, *command_line("do now", ended.command, style)] if ended.command else lines


def command_line(label: str, command: str, style: Style) -> list[str]:
    """A command that can be copied whole: never wrapped, never cut."""
    return [f"  {label:<{LABEL - 2}} {style(printable(command), 'bold')}"]


def extent(plans: Sequence[RepairPlan]) -> str:
    """The downtime and the time of all these changes: ``no downtime, about 2 min``."""
    actions = [action for plan in plans for action in plan.actions]
    downtimes = list(dict.fromkeys(action.downtime for action in actions if action.downtime not in ("", "none")))
    downtime = f"downtime {', '.join(downtimes)}" if downtimes else "no downtime"
    return f"{downtime}, about {sum(action.minutes for action in actions)} min"


def _notes(action: Action, plan: RepairPlan) -> Iterator[str]:
    yield f"through {plan.channel}"
    if action.effect:
        yield safe(action.effect)
    if _RISKS[action.risk]:
        yield _RISKS[action.risk]
    if action.loses:
        yield f"lost: {', '.join(action.loses)}"
    yield f"undo: {safe(action.undo)}"
    yield f"proof: {action.proof}"
    if action.allow is not None:
        yield f"needs --allow {action.allow.value}"
