"""Scenario 2: an iptables rule refuses what goes to the Wire Server, so that nothing has to time out."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "an iptables rule rejects everything to 168.63.129.16"

_RULE = "OUTPUT -d 168.63.129.16/32 -j REJECT --reject-with icmp-port-unreachable"


def inject(vm: LabVm) -> None:
    """Add the rule."""
    as_root(vm, f"iptables -w -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove it, and the table if it was made for it."""
    as_root(vm, f"iptables -w -D {_RULE}")
    remove_empty_table(vm, "filter")
