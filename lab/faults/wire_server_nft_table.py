"""Scenario 2 by nftables itself: a table of its own that iptables never lists."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "an nftables table of its own drops everything to 168.63.129.16"

_TABLE = """table inet hardening {
    chain outgoing {
        type filter hook output priority 10; policy accept;
        ip daddr 168.63.129.16 tcp dport { 80, 32526 } counter drop
    }
}
"""


def inject(vm: LabVm) -> None:
    """Load the table."""
    as_root(vm, f"nft -f - <<'EOF'\n{_TABLE}EOF")


def heal(vm: LabVm) -> None:
    """Delete it."""
    as_root(vm, "nft delete table inet hardening")
