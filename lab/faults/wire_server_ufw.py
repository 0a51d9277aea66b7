"""Scenario 2 by ufw: a rule that denies the Wire Server by address."""

from lab.arm.vm import LabVm
from lab.faults import _ufw

SUMMARY = "a ufw rule denies what goes to 168.63.129.16"


def inject(vm: LabVm) -> None:
    """Add the rule and turn ufw on."""
    _ufw.enable(vm, "deny out to 168.63.129.16")


def heal(vm: LabVm) -> None:
    """Turn it off again."""
    _ufw.disable(vm)
