"""The agent's unit is frozen (``systemctl freeze``): active, and nothing in it runs."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's unit is frozen"


def inject(vm: LabVm) -> None:
    """Freeze it."""
    as_root(vm, f"systemctl freeze {AGENT}")


def heal(vm: LabVm) -> None:
    """Thaw it."""
    as_root(vm, f"systemctl thaw {AGENT}")
