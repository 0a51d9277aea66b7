"""What Azure's own changes run into, in words that lead on: a lock, a policy, a missing right, no room. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from azext_vmagent.causes.access import az_vm, diagnose_again
from azext_vmagent.causes.remedies import LEARN
from azext_vmagent.facts.arm_values import items, text
from azext_vmagent.facts.azure_refusals import AzureSaid
from azext_vmagent.facts.instance_view import AgentStatus, VmFacts
from azext_vmagent.facts.reading import Facts
from azext_vmagent.model import NextStep
from azext_vmagent.repair.refusals import AT_WORK

#: the codes by which Azure says that it has no machine to put the VM on (Microsoft Learn, «Troubleshoot allocation
#: failures», «SKU not available errors»)
_NO_ROOM = (
    "allocationfailed", "zonalallocationfailed", "overconstrainedallocationrequest",
    "overconstrainedzonalallocationrequest", "skunotavailable",
)  # fmt: skip
#: somebody else's operation has the VM or its interface
_BUSY = (
    "conflict", "operationpreempted", "anotheroperationinprogress", "retryableerror",
    "referencedresourcenotprovisioned",
)  # fmt: skip


@dataclass(frozen=True)
class Lock:
    """A lock as Azure lists it. ``scope`` is what it locks."""

    name: str
    level: str
    scope: str


def read_locks(listed: Any, scope: str) -> tuple[Lock, ...]:
    """The read-only locks on this scope itself, out of a list that holds those below it as well.

    The others forbid deleting alone. Never raises on odd input.
    """
    found = []
    for one in items(listed, "value"):
        level = text(one, "properties", "level")
        its_own = text(one, "id").partition("/providers/Microsoft.Authorization/")[0]
        if level.lower() == "readonly" and its_own.lower() == scope.lower():
            found.append(Lock(text(one, "name"), level, scope))
    return tuple(found)


def changed_since(before: VmFacts | None, now: VmFacts) -> str | None:
    """What is no longer as in the plan; None when nothing is."""
    if now.provisioning in AT_WORK:
        return f"Azure is at work on the VM ({now.provisioning}): a second change on top could make it worse"
    if before is None or now.vm_id != before.vm_id:
        return "another VM has this name by now"
    if not now.running:
        return f"the VM is {now.power or 'not running'} by now"
    if now.agent is AgentStatus.READY and before.agent is not AgentStatus.READY:
        return "Azure says by now that the agent is Ready"
    if (now.nic_ids, now.os_disk_id, now.size, now.ephemeral_os_disk) != (
        before.nic_ids,
        before.os_disk_id,
        before.size,
        before.ephemeral_os_disk,
    ):
        return "size, disk or network interface of the VM were changed since"
    return None


def explained(
    said: AzureSaid, detail: str, facts: Facts, locks: Sequence[Lock] = ()
) -> tuple[str, tuple[NextStep, ...]]:
    """Why Azure did not do it, and what to do about that; Azure's own words where the reason is not known."""
    code = said.code.lower()
    if said.missing_action:
        return _no_right(said.missing_action)
    if code == "scopelocked":
        return _locked(said, facts, locks)
    if code == "requestdisallowedbypolicy":
        return _policy(said)
    if code in _NO_ROOM:
        return _no_room(said, facts)
    if code in _BUSY:
        return f"another operation on the VM is in progress (Azure: {said.code})", (_log(facts), _again(facts))
    if code == "operationnotallowed" and "deallocated" in said.message:
        return "the VM is deallocated by now", (_again(facts),)
    if said.status == 429:
        return "Azure throttles such calls now", (_again(facts, "in some minutes, ask again"),)
    return detail, (_log(facts),)


def _no_right(action: str) -> tuple[str, tuple[NextStep, ...]]:
    role = "Virtual Machine Contributor" if action.lower().startswith("microsoft.compute/") else "Network Contributor"
    ask = NextStep(
        f"ask for the role {role}, or one of your own with {action}; Owner, User Access Administrator and Role Based"
        " Access Control Administrator may give it",
        link=LEARN + "azure/role-based-access-control/custom-roles",
    )
    return f"this login lacks the right {action}", (ask,)


def _locked(said: AzureSaid, facts: Facts, locks: Sequence[Lock]) -> tuple[str, tuple[NextStep, ...]]:
    named = [f"«{lock.name}» ({lock.level}) on {_last(lock.scope)}" for lock in locks]
    named = named or [f"on {_last(scope)}" for scope in said.locked]
    see = NextStep("see the locks", f"az lock list -g {shlex.quote(facts.target.resource_group)} -o table")
    ask = NextStep(
        "ask whoever set it whether it may be lifted for this: Owner and User Access Administrator may remove locks",
        link=LEARN + "azure/azure-resource-manager/management/lock-resources",
    )
    return f"a lock forbids it: {', '.join(named) or 'Azure does not say which'}", (see, ask)


def _policy(said: AzureSaid) -> tuple[str, tuple[NextStep, ...]]:
    named = ", ".join(f"«{name}»" for name in said.policies) or "Azure does not say which"
    ask = NextStep(
        "ask who is responsible for the policy for an exemption of this VM",
        link=LEARN + "azure/governance/policy/concepts/exemption-structure",
    )
    return f"a policy forbids it: {named}", (ask,)


def _no_room(said: AzureSaid, facts: Facts) -> tuple[str, tuple[NextStep, ...]]:
    vm = facts.vm or VmFacts()
    where = " ".join(part for part in (vm.location, *(f"zone {zone}" for zone in vm.zones)) if part)
    words = f"Azure has no room for a VM of size {vm.size} in {where or 'its place'} now ({said.code}); it may be off"
    later = NextStep("try again later: it starts where there is room then", az_vm("start", facts))
    sizes = NextStep("see which other sizes it could have", az_vm("list-vm-resize-options", facts, "-o table"))
    return words, (later, sizes)


def _log(facts: Facts) -> NextStep:
    return NextStep(
        "see what Azure does to the VM, and who asked for it",
        f"az monitor activity-log list --resource-id {shlex.quote(facts.target.id)} --offset 1h -o table",
    )


def _again(facts: Facts, action: str = "when that has ended, ask again") -> NextStep:
    return NextStep(action, diagnose_again(facts, "--repair", "--dry-run"))


def _last(scope: str) -> str:
    """``the resource group rg`` out of a scope, which may be a lock's own id as well."""
    kind, name = (["", "", *scope.rstrip("/").split("/")])[-2:]
    kinds = {"resourcegroups": "the resource group", "subscriptions": "the subscription", "locks": "the scope of lock"}
    return f"{kinds.get(kind.lower(), kind)} {name}".strip()
