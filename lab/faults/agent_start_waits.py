"""systemd holds the agent's start back: it is ordered after a service that does not come to an end."""

from lab.arm.vm import LabVm
from lab.faults._held_back import UNIT, hold_back, let_go
from lab.faults._in_guest import AGENT, as_root

SUMMARY = "the agent's start waits in systemd's queue for a service that never ends"


def inject(vm: LabVm) -> None:
    """Stop the agent, and have systemd start that one and the agent."""
    hold_back(vm)
    as_root(vm, f"systemctl stop {AGENT}; systemctl daemon-reload; systemctl start --no-block {UNIT} {AGENT}", 90)


def heal(vm: LabVm) -> None:
    """End the wait."""
    let_go(vm)
