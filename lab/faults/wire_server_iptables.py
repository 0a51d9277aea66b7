"""Scenario 2 without firewalld: a plain iptables rule in the filter table."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "an iptables rule drops everything to 168.63.129.16"

_RULE = "OUTPUT -d 168.63.129.16/32 -j DROP"


def inject(vm: LabVm) -> None:
    """Add the rule."""
    as_root(vm, f"iptables -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove it, and the table if it was made for it."""
    as_root(vm, f"iptables -D {_RULE}")
    remove_empty_table(vm, "filter")
