"""Scenario 2 the other way round: the requests leave, the server's replies are dropped on their way in."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "an iptables rule drops the replies of 168.63.129.16"

_RULE = "INPUT -s 168.63.129.16/32 -p tcp -j DROP"


def inject(vm: LabVm) -> None:
    """Add the rule."""
    as_root(vm, f"iptables -w -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove it, and the table if it was made for it."""
    as_root(vm, f"iptables -w -D {_RULE}")
    remove_empty_table(vm, "filter")
