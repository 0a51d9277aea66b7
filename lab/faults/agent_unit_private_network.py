"""A drop-in that gives the agent's unit a network of its own, which leads nowhere."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import drop_in, no_drop_in, restart_agent

SUMMARY = "the agent's unit has no network (PrivateNetwork)"


def inject(vm: LabVm) -> None:
    """Add it."""
    drop_in(vm, "[Service]\\nPrivateNetwork=yes\\n")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Remove it."""
    no_drop_in(vm)
    restart_agent(vm)
