"""Only the host plugin's port is blocked: the agent keeps a way to report, and extensions may hang."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "an iptables rule drops tcp/32526 to 168.63.129.16"

_RULE = "OUTPUT -d 168.63.129.16/32 -p tcp -m tcp --dport 32526 -j DROP"


def inject(vm: LabVm) -> None:
    """Add the rule."""
    as_root(vm, f"iptables -w -A {_RULE}")


def heal(vm: LabVm) -> None:
    """Remove it, and the table if it was made for it."""
    as_root(vm, f"iptables -w -D {_RULE}")
    remove_empty_table(vm, "filter")
