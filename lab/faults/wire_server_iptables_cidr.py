"""Scenario 2: the rule does not name the Wire Server but a network that holds it."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "an iptables rule drops everything to 168.63.0.0/16"

_RULE = "OUTPUT -d 168.63.0.0/16 -p tcp -j DROP"


def inject(vm: LabVm) -> None:
    """Add the rule."""
    as_root(vm, f"iptables -w -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove it, and the table if it was made for it."""
    as_root(vm, f"iptables -w -D {_RULE}")
    remove_empty_table(vm, "filter")
