"""Which of the things that Azure itself can do to this VM is planned, and which it must not do here. Pure."""

from __future__ import annotations

from collections.abc import Collection

from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import Verdict
from azext_vmagent.repair import nic_reset, refusals
from azext_vmagent.repair.actions import azure
from azext_vmagent.repair.model import AZURE, Permission, Refusal, RepairPlan


def plan_by_azure(facts: Facts, verdict: Verdict, allowed: Collection[Permission]) -> RepairPlan:
    """The first of the verdict's next steps that Azure carries out and the user allows, else the first of them.

    A step that comes after an offline repair would only boot what is broken once more. Whoever names only what this VM
    forbids gets no other change in its place, but the reason.
    """
    if facts.vm is None:
        return RepairPlan(refusal=refusals.no_safe_cure(facts, verdict))
    found, forbidden = [], None
    for step in verdict.next_steps:
        action = azure.action(step, facts.vm, facts.network)
        if action is None and (step.command or "").startswith("az vm repair "):
            break
        if action is None or action.allow is None:
            continue
        why = forbids(action.allow, facts)
        if why is None:
            found.append(action)
        forbidden = forbidden or why
    chosen = next((action for action in found if action.allow in allowed), None)
    if chosen is None:
        named = (why for permission in Permission if permission in allowed and (why := forbids(permission, facts)))
        why = next(named, None if found else forbidden)
        if why is not None:
            return RepairPlan(refusal=Refusal(*why, verdict.next_steps))
    if not found:
        return RepairPlan(refusal=refusals.no_safe_cure(facts, verdict))
    return RepairPlan((chosen or found[0],), AZURE)


def forbids(permission: Permission, facts: Facts) -> tuple[str, str] | None:
    """The refusal's slug and sentence where this VM must not have that done to it; None where it may."""
    vm, network = facts.vm, facts.network
    if vm is None or permission is Permission.RESTART:
        return None
    if vm.ephemeral_os_disk:
        return refusals.EPHEMERAL
    if permission is Permission.RESET_NIC:
        why = nic_reset.why_not(len(vm.nic_ids), network.configurations if network is not None else None)
        return ("nic-not-resettable", why) if why is not None else None
    return None
