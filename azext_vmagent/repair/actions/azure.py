"""What Azure itself carries out, and only for those who name it: restart, redeploy, reset-nic.

Effect, risk and downtime are those of the verdict's own next step: one place says them.
"""

from __future__ import annotations

from azext_vmagent.facts.instance_view import VmFacts
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


def action(step: NextStep, vm: VmFacts) -> Action | None:
    """The step as an action with what this VM loses by it; None where ``permission_for`` says None."""
    allow = permission_for(step)
    if allow is None:
        return None
    undo = "the old address is set again at the end" if allow is Permission.RESET_NIC else "there is no way back"
    loses = _loses(allow, vm)
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


def _loses(allow: Permission, vm: VmFacts) -> tuple[str, ...]:
    lost = ["unsaved work in the guest"]
    if allow is Permission.REDEPLOY:
        lost += ["what is on the temporary disk and on local NVMe disks", "a dynamic address, which may change"]
        lost += ["the place of a Spot VM, which it may not get again"] if vm.spot else []
    return tuple(lost)
