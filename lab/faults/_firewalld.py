"""firewalld, which the guest has installed and off. One that ran before goes on running after the healing."""

from __future__ import annotations

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

_STARTED = "/run/lab-started-firewalld"
_UNIT = "firewalld.service"


def start(vm: LabVm) -> None:
    """Have it running."""
    as_root(vm, f"systemctl -q is-active {_UNIT} || {{ systemctl start {_UNIT} && touch {_STARTED}; }}", 120)


def stop(vm: LabVm) -> None:
    """Stop it if it was started for a fault."""
    as_root(vm, f"if [ -e {_STARTED} ]; then systemctl stop {_UNIT}; rm {_STARTED}; fi", 120)
