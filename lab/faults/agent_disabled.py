"""The agent stopped, and disabled so that a reboot does not bring it back."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's service was stopped and disabled"


def inject(vm: LabVm) -> None:
    """Disable and stop the agent."""
    as_root(vm, f"systemctl disable --now {AGENT}", 90)


def heal(vm: LabVm) -> None:
    """Enable and start the agent."""
    as_root(vm, f"systemctl enable --now {AGENT}", 90)
