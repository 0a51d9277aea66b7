"""The script for this guest's system: sh or PowerShell. The one place that chooses. Pure."""

from __future__ import annotations

from azext_vmagent.facts.reading import Facts
from azext_vmagent.repair.model import RepairPlan
from azext_vmagent.repair.resuming import RESUME
from azext_vmagent.repair.script import repair_script, resume_script, undo_script
from azext_vmagent.repair.script_windows import windows_repair_script, windows_undo_script


def script_for(facts: Facts, plan: RepairPlan) -> str:
    """The one text that carries out the plan in the guest."""
    if plan.actions[0].kind == RESUME:
        return resume_script()
    return windows_repair_script(plan.actions) if facts.windows else repair_script(plan.actions)


def undo_for(facts: Facts) -> str:
    """Reverts the last repair of this guest."""
    return windows_undo_script() if facts.windows else undo_script()
