"""A drop-in with a condition that is not met: systemd skips the agent at every start."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import drop_in, no_drop_in, restart_agent

SUMMARY = "a condition keeps the agent's unit from starting"


def inject(vm: LabVm) -> None:
    """Add it."""
    drop_in(vm, "[Unit]\\nConditionPathExists=/etc/azure/agent-wanted\\n")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remove it."""
    no_drop_in(vm)
    restart_agent(vm)
