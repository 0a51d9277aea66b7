"""Scenario 2 by an ipset: the iptables rule names the set, the set holds the address."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "an iptables rule drops what is in an ipset, and the Wire Server is"

_RULE = "OUTPUT -m set --match-set bad dst -j DROP"


def inject(vm: LabVm) -> None:
    """Make the set, then the rule."""
    as_root(vm, "ipset create bad hash:net && ipset add bad 10.66.0.0/16 && ipset add bad 168.63.129.0/24")
    as_root(vm, f"iptables -w -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove the rule, then the set."""
    as_root(vm, f"iptables -w -D {_RULE}")
    remove_empty_table(vm, "filter")
    as_root(vm, "ipset destroy bad")
