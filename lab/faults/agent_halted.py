"""The agent's processes are stopped by a signal; its service still counts as running."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's processes are stopped by SIGSTOP"


def inject(vm: LabVm) -> None:
    """Stop all of them."""
    as_root(vm, f"systemctl kill -s STOP {AGENT}")


def heal(vm: LabVm) -> None:
    """Let them go on."""
    as_root(vm, f"systemctl kill -s CONT {AGENT}")
