"""Scenario 2 by ufw's default: whatever is not allowed to leave is denied."""

from lab.arm.vm import LabVm
from lab.faults import _ufw

SUMMARY = "ufw denies by default what leaves the guest"


def inject(vm: LabVm) -> None:
    """Set the default and turn ufw on."""
    _ufw.enable(vm, "default deny outgoing")


def heal(vm: LabVm) -> None:
    """Turn it off again."""
    _ufw.disable(vm)
