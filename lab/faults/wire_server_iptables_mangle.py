"""Scenario 2 in the mangle table, and for root alone."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "a rule of the mangle table drops what root sends to 168.63.129.16"

_RULE = "OUTPUT -d 168.63.129.16/32 -p tcp -m owner --uid-owner 0 -j DROP"


def inject(vm: LabVm) -> None:
    """Add the rule."""
    as_root(vm, f"iptables -w -t mangle -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove it, and the table if it was made for it."""
    as_root(vm, f"iptables -w -t mangle -D {_RULE}")
    remove_empty_table(vm, "mangle")
