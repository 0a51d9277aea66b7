"""Scenario 2 by a named set of nftables: the rule names the set, the set holds the address."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root

SUMMARY = "an nftables rule drops what is in a set, and the Wire Server is"

_TABLE = """table inet blocklist {
    set bad {
        type ipv4_addr
        flags interval
        elements = { 10.66.0.0/16, 168.63.128.0/17, 203.0.113.7 }
    }
    chain outgoing {
        type filter hook output priority 10; policy accept;
        ip daddr @bad counter reject with icmpx admin-prohibited
    }
}
"""


def inject(vm: LabVm) -> None:
    """Load the table."""
    as_root(vm, f"nft -f - <<'EOF'\n{_TABLE}EOF")


def heal(vm: LabVm) -> None:
    """Delete it."""
    as_root(vm, "nft delete table inet blocklist")
