"""The agent's program lost its execute bit."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, restart_agent

SUMMARY = "the agent's program is not executable"


def inject(vm: LabVm) -> None:
    """Take it."""
    as_root(vm, "chmod a-x /usr/sbin/waagent")
    restart_agent(vm)


def heal(vm: LabVm) -> None:
    """Give it back."""
    as_root(vm, "chmod a+x /usr/sbin/waagent")
    restart_agent(vm)
