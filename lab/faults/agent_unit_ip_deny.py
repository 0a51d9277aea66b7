"""A drop-in that denies the agent's unit the Wire Server; everybody else reaches it."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import drop_in, no_drop_in, restart_agent

SUMMARY = "the agent's unit may not reach 168.63.129.16 (IPAddressDeny)"


def inject(vm: LabVm) -> None:
    """Add it."""
    drop_in(vm, "[Service]\\nIPAddressDeny=168.63.129.16\\n")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remove it."""
    no_drop_in(vm)
    restart_agent(vm)
