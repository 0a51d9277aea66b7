"""What Azure itself carries out, and only for those who name it: restart, redeploy, reset-nic.

Effect, risk and downtime are those of the verdict's own next step: one place says them.
"""

from __future__ import annotations

import re

from azext_vmagent.facts.instance_view import VmFacts
from azext_vmagent.facts.port import NetworkFacts
from azext_vmagent.model import NextStep
from azext_vmagent.repair.model import Action, Permission, Risk

_BEGINNINGS = {
    "az vm restart ": Permission.RESTART,
    "az vm redeploy ": Permission.REDEPLOY,
    "az vm repair reset-nic ": Permission.RESET_NIC,
}
_MINUTES = {Permission.RESTART: 5, Permission.REDEPLOY: 20, Permission.RESET_NIC: 15}
_PROOF = {
    Permission.RESTART: "a new boot reaches its login prompt, and Azure reports Ready",
    Permission.REDEPLOY: "the VM boots on another host, and Azure reports Ready",
    Permission.RESET_NIC: "the guest sends traffic again, and Azure reports Ready",
}


def permission_for(step: NextStep) -> Permission | None:
    """The permission that a next step needs; None for one that Azure does not carry out, or not by itself."""
    command = step.command or ""
    return next((one for beginning, one in _BEGINNINGS.items() if command.startswith(beginning)), None)


def action(step: NextStep, vm: VmFacts, network: NetworkFacts | None = None) -> Action | None:
    """The step as an action with what this VM loses by it; None where ``permission_for`` says None."""
    allow = permission_for(step)
    if allow is None:
        return None
    undo = "there is no way back"
    if allow is Permission.RESET_NIC:
        undo = "it sets the old address again itself; broken off, it prints the commands that do"
    loses = _loses(allow, vm, network)
    return Action(
        allow.value,
        step.action,
        step.effect or "",
        Risk.DATA if allow is Permission.REDEPLOY else Risk.REBOOT,
        step.downtime or "",
        _MINUTES[allow],
        undo,
        _PROOF[allow],
        allow=allow,
        loses=loses,
    )


def _loses(allow: Permission, vm: VmFacts, network: NetworkFacts | None) -> tuple[str, ...]:
    """What this VM loses; «may», «if» where its model does not say."""
    lost = ["unsaved work in the guest"]
    if allow is Permission.RESET_NIC:
        lost.append("the private address for some minutes, and every connection to it")
    if allow is Permission.REDEPLOY:
        nvme = (
            f"the local NVMe disks of a {vm.size}"
            if _STORAGE_SIZE.match(vm.size)
            else "local NVMe disks, if it has any"
        )
        lost.append(f"what is on the temporary disk, if it has one, and on {nvme}")
        dynamic = network.dynamic if network is not None else None
        if dynamic is None:
            lost.append("a dynamic address, which may change")
        elif dynamic:
            lost.append(f"its {' and its '.join(dynamic)} address, dynamic, which may change")
        lost += ["the place of a Spot VM, which it may not get again"] if vm.spot else []
    return tuple(lost)


#: the L series has local NVMe disks (Microsoft Learn, «Storage optimized virtual machine sizes»); the first of them and
#: many other sizes have other local disks, or none
_STORAGE_SIZE = re.compile(r"Standard_L\d+[a-z]*_v[2-9]", re.ASCII | re.IGNORECASE)
