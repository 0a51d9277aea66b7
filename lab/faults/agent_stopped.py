"""Scenario 1 of the article: ``systemctl stop`` of the agent's service."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's service was stopped"


def inject(vm: LabVm) -> None:
    """Stop the agent."""
    as_root(vm, f"systemctl stop {AGENT}", 90)


def heal(vm: LabVm) -> None:
    """Start the agent."""
    as_root(vm, f"systemctl start {AGENT}", 90)
