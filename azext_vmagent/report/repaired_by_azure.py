"""What became of a change that Azure itself made, for people: its word, the second look, and what leads on. Pure."""

from __future__ import annotations

from azext_vmagent.facts.instance_view import AgentStatus
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Scenario
from azext_vmagent.repair.outcome import Repaired
from azext_vmagent.repair.record import Result
from azext_vmagent.report.layout import Style, entry
from azext_vmagent.report.redaction import safe
from azext_vmagent.report.text import step_lines


def repaired_by_azure_lines(before: Diagnosis, done: Repaired, style: Style) -> list[str]:
    """``Repaired: web-03 is Ready again after 21 s (was: …)``, or what Azure did not do or has not ended."""
    words, good = _title(before, done)
    lines = [style(words, "bold", good)]
    if done.took:
        lines += entry("azure", safe(done.carried.detail))
    if done.after is not None:
        verdict = done.after.verdict
        lines += entry("now", f"{verdict.scenario.value} ({verdict.confidence.value}): {safe(verdict.summary)}")
    return [*lines, *(step_lines(done.advice, style) if done.advice else [])]


def _title(before: Diagnosis, done: Repaired) -> tuple[str, str]:
    name, was = before.facts.target.name, f"(was: {before.verdict.scenario.value})"
    if done.record.result is Result.GOING_ON:
        return f"Not over: {safe(done.carried.detail)}", "yellow"
    if not done.took:
        return f"Not repaired: {safe(done.carried.detail)}", "red"
    scenario = done.after.verdict.scenario if done.after is not None else None
    if scenario is not None and scenario.number is not None:
        return f"Done by Azure, and it did not help: still broken {was}", "red"
    vm = done.after.facts.vm if done.after is not None else None
    if vm is None or vm.agent is not AgentStatus.READY:
        return f"Done by Azure; the agent is not seen Ready yet {was}", "yellow"
    ready = f"{name} is Ready again" + (f" after {done.ready_after:.0f} s" if done.ready_after is not None else "")
    if scenario is Scenario.HEALTHY:
        return f"Repaired: {ready} {was}", "green"
    return f"Done by Azure: {ready}, and the second look is not content yet {was}", "yellow"
