"""Scenario 2 by omission: what is not on the allow list is dropped, and the Wire Server is not on it."""

from lab.arm.vm import LabVm
from lab.faults._in_guest import as_root, remove_empty_table

SUMMARY = "iptables drops all that is not allowed; the Wire Server is not on the list"

_ALLOWED = ("-o lo", "-m conntrack --ctstate RELATED,ESTABLISHED", "-p udp -m udp --dport 67", "-p icmp")


def inject(vm: LabVm) -> None:
    """The allow list first, then the policy, or the way in would be cut."""
    for match in _ALLOWED:
        as_root(vm, f"iptables -w -A OUTPUT {match} -j ACCEPT")
    as_root(vm, "iptables -w -P OUTPUT DROP; conntrack -D -d 168.63.129.16 2>/dev/null || true")


def heal(vm: LabVm) -> None:
    """The other way round."""
    as_root(vm, "iptables -w -P OUTPUT ACCEPT")
    for match in _ALLOWED:
        as_root(vm, f"iptables -w -D OUTPUT {match} -j ACCEPT")
    remove_empty_table(vm, "filter")
