"""Scenario 2 by a policy of firewalld: what the host sends anywhere meets the target DROP."""

from lab.arm.vm import LabVm
from lab.faults import _firewalld
from lab.faults._in_guest import as_root

SUMMARY = "a firewalld policy (HOST to ANY) drops what leaves the guest"

_LINES = (
    "--new-policy lockdown",
    "--policy lockdown --add-ingress-zone HOST",
    "--policy lockdown --add-egress-zone ANY",
    "--policy lockdown --set-target DROP",
)


def inject(vm: LabVm) -> None:
    """Policies exist permanently first; a reload puts them in force."""
    _firewalld.start(vm)
    as_root(vm, " && ".join(f"firewall-cmd --permanent {line}" for line in _LINES), 120)
    as_root(vm, "firewall-cmd --reload", 90)


def heal(vm: LabVm) -> None:
    """Delete the policy, and stop firewalld as it was before."""
    as_root(vm, "firewall-cmd --permanent --delete-policy lockdown && firewall-cmd --reload", 120)
    as_root(vm, "rm -f /etc/firewalld/policies/lockdown.xml.old")
    _firewalld.stop(vm)
