"""Scenario 2 by policy routing: a rule sends the Wire Server's packets to a table that swallows them."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "a routing rule leads what goes to 168.63.129.16 into a table with a blackhole"

_RULE = "to 168.63.129.16/32 lookup 100 priority 90"


def inject(vm: LabVm) -> None:
    """Make the table, then the rule."""
    as_root(vm, f"ip route add blackhole default table 100 && ip rule add {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove both."""
    as_root(vm, f"ip rule del {_RULE} && ip route del blackhole default table 100")
