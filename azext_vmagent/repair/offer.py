"""Offers the repair as a next step, where its plan really holds changes that can be made without a restart. Pure."""

from __future__ import annotations

from dataclasses import replace

from azext_vmagent.causes.access import the_same_way
from azext_vmagent.flow import Diagnosis
from azext_vmagent.model import Confidence, NextStep
from azext_vmagent.repair.model import AZURE, RepairPlan, Risk

_SAFE = (Risk.NONE, Risk.AGENT_RESTART)


def offered(found: Diagnosis, plan: RepairPlan) -> Diagnosis:
    """The diagnosis with the repair among its next steps; as it is where the plan would refuse or restart the VM.

    First in line where the verdict is certain and the plan cures all of it, else after what is done by hand.
    """
    actions = plan.actions
    if not actions or plan.channel == AZURE or any(action.risk not in _SAFE for action in actions):
        return found
    more = f" and {len(actions) - 1} more" if len(actions) > 1 else ""
    step = NextStep(
        f"put it right: {actions[0].change}{more}",
        the_same_way(found.facts, found.wish, "--repair"),
        effect="shows the plan, asks once, saves and checks each change, and looks again",
        risk="none known" if all(action.risk is Risk.NONE for action in actions) else "the agent restarts",
        downtime="none",
        undo=the_same_way(found.facts, found.wish, "--undo"),
    )
    steps = found.verdict.next_steps
    at = 0 if found.verdict.confidence is Confidence.CERTAIN and not plan.remains else 1
    return replace(found, verdict=replace(found.verdict, next_steps=(*steps[:at], step, *steps[at:])))
