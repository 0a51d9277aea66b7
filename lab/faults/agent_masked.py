"""The agent's service masked: stopped, and refusing to start until it is unmasked."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's service was masked"


def inject(vm: LabVm) -> None:
    """Stop and mask the agent. Debian's unit is no link in /etc, so masking can put one there."""
    as_root(vm, f"systemctl mask --now {AGENT}", 90)


def heal(vm: LabVm) -> None:
    """Unmask and start the agent."""
    as_root(vm, f"systemctl unmask {AGENT} && systemctl start {AGENT}", 90)
